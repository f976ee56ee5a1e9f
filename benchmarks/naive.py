"""Captioner and speller as tutorials write them: everything inside the time loop. The benchmarks measure against them.

The captioner's arithmetic is that of ``RecurrentDecoder`` with additive attention. Keys are projected anew in each
step, the embedding goes through the LSTM cell in each step, every step projects to the vocabulary, the loop runs to the
longest text for all sources, and beam search repeats the memory for each hypothesis and reorders it in each step. The
speller's is that of ``PyramidLSTM`` with packed sequences, and of ``RecurrentDecoder`` with location-aware attention.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.types import BOS, EOS


class NaiveDecoder(nn.Module):
    """Shapes as in ``RecurrentDecoder`` with one row a source."""

    def __init__(self, memory_dim: int, vocab_size: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        self.cell = nn.LSTMCell(width + memory_dim, width)
        self.key = nn.Linear(memory_dim, width)
        self.query = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)
        self.initial = nn.Linear(memory_dim, 2 * width)
        self.gate = nn.Linear(width, 1)
        self.readout_hidden = nn.Linear(width, width)
        self.readout_context = nn.Linear(memory_dim, width)
        self.vocabulary = nn.Linear(width, vocab_size)

    def start(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        hidden, cell = torch.tanh(self.initial(memory.mean(1))).chunk(2, dim=-1)
        return hidden, cell

    def step(self, token: Tensor, hidden: Tensor, cell: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scores = self.score(torch.tanh(self.key(memory) + self.query(hidden)[:, None]))
        context = (torch.softmax(scores, dim=1) * memory).sum(1)
        context = torch.sigmoid(self.gate(hidden)) * context
        embedded = self.embedding(token)
        hidden, cell = self.cell(torch.cat([embedded, context], dim=-1), (hidden, cell))
        readout = torch.tanh(self.readout_hidden(hidden) + self.readout_context(context) + embedded)
        return self.vocabulary(readout), hidden, cell

    def loss(self, tokens: Tensor, memory: Tensor) -> Tensor:
        """Cross-entropy; tokens (B, T), 0 after the end."""
        hidden, cell = self.start(memory)
        logits = []
        for t in range(tokens.shape[1] - 1):
            step, hidden, cell = self.step(tokens[:, t], hidden, cell, memory)
            logits.append(step)
        return functional.cross_entropy(torch.stack(logits, 1).flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=0)

    @torch.no_grad()
    def beam(self, memory: Tensor, width: int, steps: int) -> Tensor:
        """The tokens (B, steps) of the best hypothesis; no text ends early."""
        memory = memory.repeat_interleave(width, 0)

        def step(token: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
            logits, hidden, cell = self.step(token, state[0], state[1], state[2])
            return logits, (hidden, cell, state[2])

        return _beam(step, (*self.start(memory), memory), width, steps)


class NaiveSpeller(nn.Module):
    """A pyramidal BLSTM over packed log-mel frames and a speller with location-aware attention."""

    def __init__(self, mels: int, hidden: int, width: int, vocab_size: int, filters: int, kernel: int) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(
            nn.LSTM(size, hidden, bidirectional=True, batch_first=True) for size in (2 * mels, 4 * hidden, 4 * hidden)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(2 * hidden) for _ in self.encoder)
        self.embedding = nn.Embedding(vocab_size, width)
        self.cell = nn.LSTMCell(width + 2 * hidden, width)
        self.key = nn.Linear(2 * hidden, width)
        self.query = nn.Linear(width, width)
        self.filters = nn.Conv1d(1, filters, kernel, padding=kernel // 2, bias=False)
        self.location = nn.Linear(filters, width, bias=False)
        self.score = nn.Linear(width, 1)
        self.vocabulary = nn.Linear(width + 2 * hidden, vocab_size)

    def encode(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S, D) and how many of the S are real, (B,)."""
        for layer, norm in zip(self.encoder, self.norms, strict=True):
            frames = functional.pad(frames, (0, 0, 0, frames.shape[1] % 2)).unflatten(1, (-1, 2)).flatten(2)
            lengths = (lengths + 1) // 2
            packed = nn.utils.rnn.pack_padded_sequence(frames, lengths.cpu(), batch_first=True, enforce_sorted=False)
            frames = norm(nn.utils.rnn.pad_packed_sequence(layer(packed)[0], batch_first=True)[0])
        return frames, lengths

    def loss(self, frames: Tensor, lengths: Tensor, tokens: Tensor) -> Tensor:
        """Cross-entropy; frames (B, L, mels), tokens (B, T), 0 after the end."""
        memory, sizes = self.encode(frames, lengths)
        state, logits = self.start(memory, sizes), []
        for t in range(tokens.shape[1] - 1):
            step, state = self.step(tokens[:, t], state)
            logits.append(step)
        return functional.cross_entropy(torch.stack(logits, 1).flatten(0, 1), tokens[:, 1:].flatten(), ignore_index=0)

    def start(self, memory: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """Hidden, cell, context, weights, and what does not change: memory and mask."""
        mask = torch.arange(memory.shape[1], device=sizes.device) < sizes[:, None]
        hidden = memory.new_zeros(len(memory), self.cell.hidden_size)
        context = memory.new_zeros(len(memory), memory.shape[-1])
        return hidden, hidden, context, mask / sizes[:, None], memory, mask

    def step(self, token: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        hidden, cell, context, weights, memory, mask = state
        hidden, cell = self.cell(torch.cat([self.embedding(token), context], dim=-1), (hidden, cell))
        located = self.location(self.filters(weights[:, None]).transpose(1, 2))
        scores = self.score(torch.tanh(self.key(memory) + self.query(hidden)[:, None] + located))[..., 0]
        weights = torch.softmax(scores.masked_fill(~mask, -torch.inf), dim=-1)
        context = (weights[..., None] * memory).sum(1)
        return self.vocabulary(torch.cat([hidden, context], dim=-1)), (hidden, cell, context, weights, memory, mask)

    @torch.no_grad()
    def beam(self, memory: Tensor, sizes: Tensor, width: int, steps: int) -> Tensor:
        """The tokens (B, steps) of the best hypothesis; no text ends early."""
        state = self.start(memory.repeat_interleave(width, 0), sizes.repeat_interleave(width, 0))
        return _beam(self.step, state, width, steps)


def _beam(
    step: Callable[..., tuple[Tensor, tuple[Tensor, ...]]], state: tuple[Tensor, ...], width: int, steps: int
) -> Tensor:
    """Every part of the state, the memory among it, is reordered in every step; rows (B * width) from <bos>."""
    device, batch = state[0].device, len(state[0]) // width
    totals = torch.full((batch, width), -torch.inf, device=device)
    totals[:, 0] = 0.0
    token = torch.full((batch * width,), BOS, device=device)
    texts = token[:, None]
    for _ in range(steps):
        logits, state = step(token, state)
        log_probs = torch.log_softmax(logits, -1)
        log_probs[:, EOS] = -torch.inf
        totals, flat = (totals[..., None] + log_probs.view(batch, width, -1)).flatten(1).topk(width)
        origin = (flat // logits.shape[-1] + width * torch.arange(batch, device=device)[:, None]).flatten()
        token = (flat % logits.shape[-1]).flatten()
        state = tuple(part[origin] for part in state)
        texts = torch.cat([texts[origin], token[:, None]], dim=1)
    return texts.view(batch, width, -1)[:, 0, 1:]
