"""Which memory cells a word came from, by gradients: what attention is compared with.

Everything here looks at single words of texts that are given to the decoder token by token (teacher-forced).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from multimodal_attn.masking import masked_mean
from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.types import BOS, PAD, Memory


@dataclass
class Words:
    """Words, a row each, with the text up to their last token.

    Attributes:
        sources: (R,) int64, the source in the batch that each belongs to.
        tokens: (R, T + 1) from <bos> to the word's last token, then padding.
        mask: (R, T + 1), True = real.
        inside: (R, T), True at the steps that predict the word's own tokens.
    """

    sources: Tensor
    tokens: Tensor
    mask: Tensor
    inside: Tensor

    @classmethod
    def of_texts(cls, texts: list[tuple[int, list[int], int, int]], device: torch.device) -> Words:
        """Rows from ``(source, tokens of the whole text, first token of the word, one past its last)``."""
        longest = max(stop for *_, stop in texts)
        tokens = torch.full((len(texts), longest + 1), PAD)
        tokens[:, 0] = BOS
        mask = torch.zeros(tokens.shape, dtype=torch.bool)
        inside = torch.zeros(len(texts), longest, dtype=torch.bool)
        for row, (_, text, first, stop) in enumerate(texts):
            tokens[row, 1 : stop + 1] = torch.tensor(text[:stop])
            mask[row, : stop + 1] = True
            inside[row, first:stop] = True
        sources = torch.tensor([source for source, *_ in texts])
        return cls(sources.to(device), tokens.to(device), mask.to(device), inside.to(device))

    def __len__(self) -> int:
        return len(self.tokens)

    def select(self, rows: slice) -> Words:
        """The chosen rows."""
        return Words(self.sources[rows], self.tokens[rows], self.mask[rows], self.inside[rows])


def word_log_probs(decoder: Decoder, memory: Memory, words: Words) -> Tensor:
    """The log probability of each word: the sum over its tokens.

    Args:
        decoder: in evaluation mode.
        memory: a source for each word, not for each text.
        words: R of them.

    Shapes:
        memory.states: (R, S, D). Returns (R,).
    """
    output = decoder(words.tokens[:, None], words.mask[:, None], memory)
    log_probs = output.logits.log_softmax(-1).gather(1, output.labels[:, None])[:, 0]
    table = log_probs.new_zeros(words.inside.shape)
    table = table.masked_scatter(output.mask[:, 0], log_probs)
    return (table * words.inside).sum(1)


def gradient_times_attention(decoder: Decoder, memory: Memory, words: Words) -> Tensor | None:
    """Weight times the derivative of the word's log probability by it (Serrano & Smith 2019, section 3.2).

    Summed over heads and the word's tokens. None for a mechanism whose weights have no gradient.

    Shapes:
        As in ``word_log_probs``. Returns (R, S).
    """
    with torch.enable_grad():
        source = decoder.prepare(replace(memory, states=memory.states.detach().requires_grad_()))
        state = decoder.start(source, rows=1)
        total = memory.states.new_zeros(())
        weights = []
        for step in range(words.inside.shape[1]):
            logits, state, attended = decoder.step(words.tokens[:, step : step + 1], state, source)
            log_probs = logits[:, 0].log_softmax(-1).gather(1, words.tokens[:, step + 1 : step + 2])[:, 0]
            total = total + (log_probs * words.inside[:, step]).sum()
            weights.append(attended.weights)
        if not weights[0].requires_grad:
            return None
        # A mechanism may return a view of the tensor that its context was computed from: the graph leads to the latter.
        roots = [w._base if w._is_view() and w._base is not None else w for w in weights]
        gradients = torch.autograd.grad(total, roots, allow_unused=True)
    if all(gradient is None for gradient in gradients):  # linear attention makes its context without its weights
        return None
    result = memory.states.new_zeros(memory.mask.shape)
    for step, (view, root, gradient) in enumerate(zip(weights, roots, gradients, strict=True)):
        if gradient is not None:
            same_layout = torch.empty_strided(root.shape, root.stride(), dtype=root.dtype, device=root.device)
            by_view = same_layout.copy_(gradient).as_strided(
                view.shape, view.stride(), view.storage_offset() - root.storage_offset()
            )
            result += (view.detach() * by_view)[:, 0].sum(1) * words.inside[:, step, None]
    return result


def integrated_gradients(decoder: Decoder, memory: Memory, words: Words, num_steps: int = 16) -> Tensor:
    """Integrated gradients over the memory's states (Sundararajan et al. 2017, equation 3, midpoint rule).

    The path starts where every cell holds the mean state of its source: a memory that says nothing of where. The sum
    over cells is what the word's log probability gains along the path.

    Shapes:
        As in ``word_log_probs``. Returns (R, S).
    """
    states = memory.states.detach()
    start = masked_mean(states, memory.mask)
    way = (states - start) * memory.mask[..., None]
    gradient = torch.zeros_like(states)
    for step in range(num_steps):
        with torch.enable_grad():
            point = (start + (step + 0.5) / num_steps * way).requires_grad_()
            total = word_log_probs(decoder, replace(memory, states=point), words).sum()
            gradient += torch.autograd.grad(total, point)[0]
    return (way * gradient / num_steps).sum(-1)
