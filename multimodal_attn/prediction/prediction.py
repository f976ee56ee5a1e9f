"""What a model wrote for one source, with the attention of every word, and the truth where it is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.prediction.confidence import confidences, word_log_probs
from multimodal_attn.prediction.copying import copied_tokens
from multimodal_attn.prediction.entropy import relative_entropy
from multimodal_attn.prediction.self_attention import SelfAttention
from multimodal_attn.prediction.times.word_alignment import right_words
from multimodal_attn.prediction.times.word_moments import WordMoments
from multimodal_attn.prediction.times.word_times import NO_TIMES, WordTimes
from multimodal_attn.prediction.true_boxes import Thing, things, true_boxes
from multimodal_attn.prediction.word import Word
from multimodal_attn.types import COPYING, EOS, UNK, Box, Example, Grid, Hypothesis, Layout, Span, Target

GIVEN = "given times"
"""``time_source`` of a prediction that was made of word times: nothing is known of any attention."""


class View(Protocol):
    """What shows predictions to people."""

    def figure(self, prediction: Prediction) -> Any:
        """A matplotlib figure."""

    def html(self, prediction: Prediction) -> str:
        """The interactive page, for a notebook's cell."""


@dataclass(repr=False)
class Prediction:
    """What a model wrote for one source.

    Attributes:
        key: of the example.
        source: picture (H, W, 3) uint8, waveform (L,) float32, or the tokens (S,) of a source text as they are shown.
        layout: where the memory positions lie in the source.
        tokens: what to display for each token of the hypothesis, T of them.
        token_ids: the same tokens as the model knows them.
        word_tokens: each word of the hypothesis with its first token and one past its last token, W of them.
        weights: (T, N, S) float32, S without padding.
        text: the hypothesis.
        references: the true texts.
        score: what the search maximized.
        flags: what looks wrong with the hypothesis (see ``Hypothesis.flags``).
        boxes: index of a hypothesis word -> its true boxes, where known.
        things: what each reference describes that has boxes.
        times: index of a hypothesis word -> when it is truly heard, where known.
        timed_by: the aligner that found the true times; empty where they came with the data.
        true_words: the words of the first reference and when each is heard, where known.
        links: index of a hypothesis word -> ranges of the source tokens that it truly comes from, where known.
        sample_rate: of a waveform, in Hz.
        gate: for each token how far the decoder let attention through, in [0, 1]; empty if it has no such gate.
        gate_name: what this gate is called.
        log_probs: of each token, T of them.
        word_spans: when each word is heard, for recordings.
        time_source: where ``word_spans`` come from, "attention", "ctc", or ``GIVEN``, of which maps are drawn.
        moments: when each word was written, for live sessions.
        temperature: of the run, for the confidence of words; None where it has none.
        candidates: of each word the likeliest ones with their probabilities, for words that were hidden from a masked
            language model; of a ``given`` text, what was likeliest to begin each word.
        given: whether the text was not written, but given to a language model, which told how probable it is.
        streams: name of an encoder's stream -> the share that it has in what each token read, of T tokens; shares of a
            token sum to 1. Empty for encoders of a single stream.
        others: what else the search found for the same source, best first.
        self_attention: what the model's layers of self-attention read, where it was asked for.
        view: what ``plot`` and notebooks show it with.
    """

    key: str
    source: np.ndarray
    layout: Layout
    tokens: list[str]
    word_tokens: list[tuple[str, int, int]]
    weights: np.ndarray
    text: str
    references: list[str]
    score: float
    flags: list[str]
    boxes: dict[int, tuple[Box, ...]] = field(default_factory=dict)
    things: list[list[Thing]] = field(default_factory=list)
    times: dict[int, Span] = field(default_factory=dict)
    timed_by: str = ""
    true_words: list[tuple[str, Span]] = field(default_factory=list)
    links: dict[int, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    sample_rate: int = 16_000
    gate: list[float] = field(default_factory=list)
    gate_name: str = ""
    log_probs: list[float] = field(default_factory=list)
    word_spans: tuple[Span, ...] = ()
    time_source: str = "attention"
    moments: list[WordMoments] = field(default_factory=list)
    temperature: float | None = None
    candidates: list[list[tuple[str, float]]] = field(default_factory=list)
    streams: dict[str, np.ndarray] = field(default_factory=dict)
    others: list[Prediction] = field(default_factory=list)
    token_ids: list[int] = field(default_factory=list)
    self_attention: SelfAttention | None = None
    given: bool = False
    view: View | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return f"Prediction({self.text!r}, key={self.key!r}, score={self.score:.4g}, others={len(self.others)})"

    @classmethod
    def from_hypothesis(
        cls,
        example: Example,
        hypothesis: Hypothesis,
        tokenizer: Tokenizer,
        layout: Layout,
        positions: int,
        sample_rate: int = 16_000,
        source_tokenizer: Tokenizer | None = None,
        times: WordTimes = NO_TIMES,
        view: View | None = None,
        temperature: float | None = None,
    ) -> Prediction:
        """The record of an example and what a model wrote for it.

        Args:
            example: with a picture, a waveform or a text, not with cached features.
            hypothesis: one that the search returned.
            tokenizer: that its tokens belong to.
            layout: of the memory that it was decoded from.
            positions: how many memory positions are real; the weights on padding after them are dropped.
            sample_rate: of a waveform, in Hz.
            source_tokenizer: of a text.
            times: of the words.
            view: to show it with.
            temperature: of the run's words.
        """
        text = tokenizer.decode(hypothesis.tokens)
        words = text.split()
        return cls(
            key=example.key,
            source=_as_shown(example.source, tokenizer if tokenizer.copies else source_tokenizer),
            layout=layout,
            tokens=tokenizer.pieces(hypothesis.tokens),
            word_tokens=[
                (word, first, stop)
                for word, (first, stop) in zip(words, tokenizer.word_spans(hypothesis.tokens), strict=True)
            ],
            weights=hypothesis.weights[..., :positions].float().cpu().numpy(),
            text=text,
            references=[target.text for target in example.targets],
            score=float(hypothesis.score),
            flags=hypothesis.flags,
            boxes=true_boxes(words, example.targets),
            things=things(example.targets),
            times=true_times(words, example.targets),
            timed_by=example.targets[0].timed_by if example.targets else "",
            true_words=[
                pair
                for target in example.targets[:1]
                if target.times
                for pair in zip(target.text.split(), target.times, strict=True)
            ],
            links=_true_links(words, example, source_tokenizer),
            sample_rate=sample_rate,
            gate=hypothesis.gate or [],
            gate_name=hypothesis.gate_name,
            log_probs=hypothesis.log_probs.tolist(),
            word_spans=times.spans,
            time_source=times.source,
            temperature=temperature,
            token_ids=hypothesis.tokens,
            view=view,
        )

    @cached_property
    def word_weights(self) -> np.ndarray:
        """The mean over a word's tokens and over heads.

        Shapes:
            Returns (W, S).
        """
        tokens = self.weights.mean(axis=1)
        rows = [tokens[first:stop].mean(axis=0) for _, first, stop in self.word_tokens]
        return np.stack(rows) if rows else np.zeros((0, self.weights.shape[-1]), dtype=np.float32)

    @property
    def word_gate(self) -> list[float]:
        """The mean of the gate over each word's tokens; empty if there is no gate."""
        return [float(np.mean(self.gate[first:stop])) for _, first, stop in self.word_tokens] if self.gate else []

    @property
    def confidence(self) -> list[float]:
        """The probability that each word is right; empty for a run without a temperature."""
        if self.temperature is None:
            return []
        spans = [(first, stop) for _, first, stop in self.word_tokens]
        found: list[float] = confidences(np.array(word_log_probs(self.log_probs, spans)), self.temperature).tolist()
        return found

    def calibrate(self, temperature: float | None) -> None:
        """Takes a temperature for the words of this text and of the others."""
        for prediction in (self, *self.others):
            prediction.temperature = temperature

    @property
    def copied(self) -> list[int]:
        """Which words were copied from the source, see ``copied_tokens``; empty for decoders that do not copy."""
        if self.gate_name != COPYING:
            return []
        same = np.array([self.source == token for token in self.tokens], dtype=bool)
        same = same.reshape(len(self.tokens), len(self.source))  # of an empty text as well
        found = copied_tokens(self.gate, self.weights.mean(axis=1), same, self.log_probs)
        return [index for index, (_, first, _) in enumerate(self.word_tokens) if found[first]]

    @cached_property
    def words(self) -> list[Word]:
        """The words with their maps and, for recordings, their times."""
        maps = self.word_weights
        if isinstance(self.layout, Grid):
            maps = maps.reshape(-1, self.layout.rows, self.layout.columns)
        gates: Sequence[float | None] = self.word_gate or [None] * len(maps)
        spans: Sequence[tuple[float | None, float | None]] = self.word_spans or [(None, None)] * len(maps)
        sure: Sequence[float | None] = self.confidence or [None] * len(maps)
        return [
            Word(text, maps[i], *spans[i], float(np.exp(sum(self.log_probs[first:stop]))), gates[i], sure[i])
            for i, (text, first, stop) in enumerate(self.word_tokens)
        ]

    def plot(self) -> Any:
        """A matplotlib figure of every word and where the model looked for it."""
        return self._view.figure(self)

    def _repr_html_(self) -> str:
        """The interactive page, which notebooks show."""
        return self._view.html(self)

    @property
    def _view(self) -> View:
        if self.view is None:
            raise ValueError("this prediction cannot be shown; expected one that multimodal_attn.load has made")
        return self.view

    @property
    def entropy(self) -> np.ndarray:
        """Of each word's weights, relative to log S: 1 = uniform.

        Shapes:
            Returns (W,).
        """
        return relative_entropy(self.word_weights)

    @property
    def peak(self) -> np.ndarray:
        """The largest of each word's weights.

        Shapes:
            Returns (W,).
        """
        return self.word_weights.max(axis=-1, initial=0.0)


def pieces_shown(text: str, tokenizer: Tokenizer) -> list[str]:
    """What is shown for each token of a text: a word that is read as <unk> would be no word to anybody."""
    ids = tokenizer.encode(text)
    pieces = tokenizer.pieces(ids)
    if not tokenizer.whole_words:
        return pieces
    words = zip(ids, pieces, text.split(), strict=True)
    return [f"<unk: {word}>" if id_ == UNK else piece for id_, piece, word in words]


def _as_shown(source: Tensor | str, tokenizer: Tokenizer | None) -> np.ndarray:
    if isinstance(source, str):
        assert tokenizer is not None, "a source text is shown token by token"
        return np.array([*pieces_shown(source, tokenizer), *tokenizer.pieces([EOS])])
    array = source.cpu().numpy()
    return np.ascontiguousarray(array.transpose(1, 2, 0)) if array.ndim == 3 else array


def true_times(words: list[str], targets: tuple[Target, ...]) -> dict[int, Span]:
    """Times of the correctly recognized words, from the first reference."""
    if not targets or not targets[0].times:
        return {}
    return {index: targets[0].times[true] for index, true in right_words(words, targets[0])}


def _true_links(
    words: list[str], example: Example, tokenizer: Tokenizer | None
) -> dict[int, tuple[tuple[int, int], ...]]:
    """Source tokens of the correctly written words, from the reference that has most of them."""
    if tokenizer is None or not isinstance(example.source, str) or not example.targets:
        return {}
    spans = tokenizer.word_spans(tokenizer.encode(example.source))
    target, right = max(((t, right_words(words, t)) for t in example.targets), key=lambda found: len(found[1]))
    return {
        index: tuple(spans[place] for place in target.read_from[true] if place < len(spans))
        for index, true in right
        if target.read_from.get(true)
    }
