"""A masked language model that fills gaps in texts: what stands there, and what it looked at to tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from multimodal_attn.data.modalities.base import pad_in_time
from multimodal_attn.data.reading.text import single_spaces
from multimodal_attn.data.tokenizers import SPECIAL_PIECES, Tokenizer
from multimodal_attn.evaluation.attention.rollout import self_rollout
from multimodal_attn.evaluation.attention.self_attention import LONGEST, reads_of
from multimodal_attn.models.evaluating import evaluating
from multimodal_attn.models.masked_language_model import MaskedLanguageModel
from multimodal_attn.prediction.prediction import Prediction, View, pieces_shown
from multimodal_attn.prediction.self_attention import SelfAttention
from multimodal_attn.types import EOS, MASK, UNK, TokenAxis

GAP = "___"
"""What stands for a hidden word in a text."""


class Gaps(NamedTuple):
    """A text with hidden words.

    Attributes:
        key: of the text.
        tokens: with <mask> where a token is hidden.
        words: first token and one past the last token of each hidden word.
        true: the whole text's tokens; empty where nobody knows them.
        pieces: what is shown for each token; empty where nothing is.
    """

    key: str
    tokens: list[int]
    words: list[tuple[int, int]]
    true: list[int]
    pieces: Sequence[str] = ()


@dataclass
class Cloze:
    """Tells hidden words.

    Attributes:
        model: in evaluation mode.
        tokenizer: of its tokens.
        name: of the run.
        view: what predictions are shown with.
        normalize: what a text becomes, as those of the training have.
        batch_size: texts that are read together.
    """

    model: MaskedLanguageModel
    tokenizer: Tokenizer
    name: str = ""
    view: View | None = None
    normalize: Callable[[str], str] = single_spaces
    batch_size: int = 32

    def __call__(self, text: str, candidates: int = 5) -> Prediction:
        """The words in the gaps of a text.

        Args:
            text: with ``___`` for each hidden token: for a word, unless the vocabulary has pieces of words.
            candidates: how many to give of each word.

        Raises:
            ValueError: if there is no gap.
        """
        tokens: list[int] = []
        words: list[tuple[int, int]] = []
        pieces: list[str] = []
        for number, part in enumerate(text.split(GAP)):
            if number:
                words.append((len(tokens), len(tokens) + 1))
                tokens.append(MASK)
                pieces.append(GAP)
            tokens += self.tokenizer.encode(self.normalize(part))
            pieces += pieces_shown(self.normalize(part), self.tokenizer)
        if not words:
            raise ValueError(f"text: {text!r} has no gap; expected {GAP} for each hidden word")
        (found,) = self.fill([Gaps(text, tokens, words, [], pieces)], candidates)
        return found

    def unknown_words(self, text: str) -> list[str]:
        """The words of a text with gaps that the model reads as <unk>."""
        words = [word for part in text.split(GAP) for word in self.normalize(part).split()]
        return [word for word in dict.fromkeys(words) if UNK in self.tokenizer.encode(word)]

    def fill(self, texts: Sequence[Gaps], candidates: int = 5, layers: bool = False) -> list[Prediction]:
        """The hidden words of each text, with their maps: attention rollout through the layers of the encoder, all zero
        for an encoder without self-attention. Those who know the whole text have its words as reference.

        Args:
            texts: with a hidden word or more each.
            candidates: how many to give of each word.
            layers: keep what every layer reads, where the encoder has layers of self-attention.
        """
        found = []
        with evaluating(self.model), torch.no_grad():
            for some, read, lengths, hidden in self._batches(texts):
                log_probs = self.model(read, lengths, hidden).float().log_softmax(-1)
                weights = self.model.encoder.layer_weights(read, lengths)
                zeros = torch.zeros(*read.shape, read.shape[1])
                maps = self_rollout(weights) if weights else zeros
                start = 0
                for row, text in enumerate(some):
                    number = sum(stop - first for first, stop in text.words)
                    own = maps[row, hidden[row], : len(text.tokens) + 1].float().cpu().numpy()
                    found.append(self._prediction(text, log_probs[start : start + number].cpu(), own, candidates))
                    if layers and weights and len(text.tokens) < LONGEST:
                        found[-1].self_attention = _layers(found[-1], [layer[row] for layer in weights])
                    start += number
        return found

    def log_probs(self, texts: Sequence[Gaps]) -> list[float]:
        """The log probability of all hidden tokens of each text, whose ``true`` tokens are known."""
        found = []
        with evaluating(self.model), torch.no_grad():
            for some, read, lengths, hidden in self._batches(texts):
                true = torch.tensor([t for text in some for first, stop in text.words for t in text.true[first:stop]])
                logits = self.model(read, lengths, hidden).float().log_softmax(-1)
                values = logits.gather(1, true.to(logits.device)[:, None])[:, 0].cpu()
                numbers = [sum(stop - first for first, stop in text.words) for text in some]
                found += [float(own.sum()) for own in values.split(numbers)]
        return found

    def surprise(self, text: str) -> tuple[float, int]:
        """How unexpected the words of a text are, each hidden by itself (Salazar et al. 2020, section 2.1).

        All tokens of a word are hidden together, or its end would give away its beginning. Words that the vocabulary
        lacks are not counted.

        Returns:
            The negative log probability of all tokens, and how many they are.
        """
        tokens = self.tokenizer.encode(text)
        spans = [span for span in self.tokenizer.word_spans(tokens) if UNK not in tokens[slice(*span)]]
        each = [
            Gaps(text, [*tokens[:first], *[MASK] * (stop - first), *tokens[stop:]], [(first, stop)], tokens)
            for first, stop in spans
        ]
        return -sum(self.log_probs(each)), sum(stop - first for first, stop in spans)

    def pseudo_perplexity(self, texts: Sequence[str]) -> float:
        """The exponential of the mean surprise of a token, each word hidden by itself.

        Raises:
            ValueError: if there is no known word.
        """
        totals = [self.surprise(self.normalize(text)) for text in texts]
        number = sum(tokens for _, tokens in totals)
        if number == 0:
            raise ValueError("texts: no known word; expected at least one")
        return math.exp(sum(surprise for surprise, _ in totals) / number)

    def _batches(self, texts: Sequence[Gaps]) -> Iterator[tuple[Sequence[Gaps], Tensor, Tensor, Tensor]]:
        """Some texts, what is read (R, S), its lengths (R,), and where it is hidden (R, S)."""
        device = self.model.vocabulary.weight.device
        for start in range(0, len(texts), self.batch_size):
            some = texts[start : start + self.batch_size]
            read, lengths = pad_in_time([torch.tensor([*text.tokens, EOS]) for text in some])
            hidden = torch.zeros(read.shape, dtype=torch.bool)
            for row, text in enumerate(some):
                for first, stop in text.words:
                    hidden[row, first:stop] = True
            yield some, read.to(device), lengths.to(device), hidden.to(device)

    def _prediction(self, text: Gaps, log_probs: Tensor, maps: np.ndarray, candidates: int) -> Prediction:
        """Of (T, V) log probabilities and (T, S) maps of the hidden tokens."""
        log_probs[:, : len(SPECIAL_PIECES)] = -torch.inf  # no word
        words: list[tuple[str, int, int]] = []
        offered: list[list[tuple[str, float]]] = []
        tokens: list[int] = []
        for first, stop in text.words:
            rows = log_probs[len(tokens) : len(tokens) + stop - first]
            best = _likeliest(rows, candidates)
            offered.append([(self._word(ids), math.exp(value)) for ids, value in best])
            words.append((offered[-1][0][0], len(tokens), len(tokens) + stop - first))
            tokens += best[0][0]
        chosen = log_probs[range(len(tokens)), tokens].tolist()
        return Prediction(
            key=text.key,
            source=np.array([*text.pieces, *self.tokenizer.pieces([EOS])]),
            layout=TokenAxis(),
            tokens=self.tokenizer.pieces(tokens),
            word_tokens=words,
            weights=maps[:, None],
            text=" ".join(word for word, _, _ in words),
            references=[" ".join(self._word(text.true[first:stop]) for first, stop in text.words)] if text.true else [],
            score=sum(chosen) / len(chosen),
            flags=[],
            log_probs=chosen,
            candidates=offered,
            view=self.view,
        )

    def _word(self, ids: Sequence[int]) -> str:
        """A word without spaces, whatever its tokens are."""
        return "".join(self.tokenizer.decode(ids).split()) or "".join(self.tokenizer.pieces(ids))


def _layers(prediction: Prediction, weights: Sequence[Tensor]) -> SelfAttention:
    """What (N, S, S) layers read of a text's (padded) tokens; its words' maps are rollout already."""
    size = prediction.weights.shape[-1]
    reads = reads_of("encoder", [layer[:, :size, :size] for layer in weights], (1, size))
    return SelfAttention([reads], prediction.word_weights)


def _likeliest(log_probs: Tensor, number: int) -> list[tuple[list[int], float]]:
    """The likeliest sequences of tokens that do not depend on each other, with their log probabilities.

    Shapes:
        log_probs: (T, V).
    """
    found: list[tuple[list[int], float]] = [([], 0.0)]
    for values, ids in zip(*log_probs.topk(min(number, log_probs.shape[1] - len(SPECIAL_PIECES))), strict=True):
        pairs = list(zip(values.tolist(), ids.tolist(), strict=True))
        longer = [([*begun, token], value + one) for begun, value in found for one, token in pairs]
        found = sorted(longer, key=lambda item: -item[1])[:number]
    return found
