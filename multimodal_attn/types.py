"""The nouns that pass between the rooms of the house, and the legend of dimensions.

Dimensions, in every docstring of this package:

    B  sources in a batch (pictures, recordings, sentences)
    K  rows that share one source: captions in training, hypotheses in a beam (1 in training on speech or text)
    S  memory positions (cells of a picture, steps of a recording, tokens of a text)
    T  output tokens
    D  width of the memory           H  width of the decoder
    V  size of the vocabulary        N  attention heads
    F  mel bins                      L  waveform samples

Rows that share a source stay side by side in a K axis, so that the memory is never copied for a beam or
for the five captions of a photo. Masks are bool, True = real, and are named ``*_mask``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:  # what needs no torch is imported without it
    from torch import Tensor

# The first four tokens of every vocabulary. CTC uses PAD as its blank.
PAD, BOS, EOS, UNK = range(4)

MASK = BOS
"""In what an encoder reads: a token that is hidden. No text that is read begins with <bos>."""


class UnreadableError(ValueError):
    """An input that cannot be used. It is skipped, counted and listed, never fatal for a run."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type, tuple[str, str]]:  # so that it survives the way back from a loader's worker
        return (UnreadableError, (self.path, self.reason))


# ---------------------------------------------------------------------------------------------------- truth


class Box(NamedTuple):
    """A rectangle in fractions of the picture's width and height, origin at the top left."""

    left: float
    top: float
    right: float
    bottom: float


class Span(NamedTuple):
    """When a word is heard, in seconds from the start of the recording."""

    start: float
    end: float

    def shifted(self, seconds: float) -> Span:
        """The same, so many seconds later."""
        return Span(self.start + seconds, self.end + seconds)


@dataclass(frozen=True)
class Target:
    """One text that belongs to a source, with what is known of where its words come from.

    Attributes:
        text: normalized words, separated by single spaces; ``text.split()`` gives the words that indices count.
        boxes: word index -> the boxes that this word speaks of (any of them is right). Empty when unknown.
        times: one span for each word, or empty when unknown.
        timed_by: the aligner that found ``times``; empty where they came with the data.
        read_from: word index -> the words of the source text that it comes from. Empty when unknown.
        names: words of the text that are names and stand in the source text, each once. Empty when unknown.
    """

    text: str
    boxes: dict[int, tuple[Box, ...]] = field(default_factory=dict)
    times: tuple[Span, ...] = ()
    timed_by: str = ""
    read_from: dict[int, tuple[int, ...]] = field(default_factory=dict)
    names: tuple[str, ...] = ()


Modality = Literal["picture", "recording", "text"]
"""What a source is."""


@dataclass(frozen=True)
class Example:
    """One source with its texts.

    Attributes:
        key: unique and stable within a split (a file name or an index).
        source: picture (3, height, width) uint8 RGB, waveform (L,) float32 in [-1, 1], or a text.
        targets: at least one in training; may be empty in prediction.
        sample_rate: of a waveform, in Hz; 0 for other sources.
        features: cached output of frozen encoders, (S, width) of each, in place of a source, mostly empty then.
        pause_seconds: at the beginning of a waveform, that are not read, as nothing is said there.
        cut: of a text of which only the beginning is read, what is left out; else empty.
    """

    key: str
    source: Tensor | str
    targets: tuple[Target, ...] = ()
    sample_rate: int = 0
    features: tuple[Tensor, ...] = ()
    pause_seconds: float = 0.0
    cut: str = ""

    @property
    def source_to_read(self) -> Tensor | str:
        """What of the source is read."""
        return self.source[round(self.pause_seconds * self.sample_rate) :] if self.pause_seconds else self.source

    @property
    def modality(self) -> Modality:
        """What the source is."""
        if isinstance(self.source, str):
            return "text"
        return "recording" if self.source.ndim == 1 else "picture"


# ---------------------------------------------------------------------------------------------------- batch


@dataclass
class Batch:
    """Examples padded to one shape.

    Attributes:
        keys: the examples' keys, B of them.
        source: (B, 3, height, width) uint8 pictures, or (B, L) float32 waveforms padded with zeros,
            or (B, S) int64 texts, w1 ... wn <eos> <pad> ...; empty where there are ``features``.
        source_lengths: (B,) int64; samples of each waveform, tokens of each text; for pictures the number 1.
        tokens: (B, K, T) int64: <bos> w1 ... wn <eos> <pad> ...
        token_mask: (B, K, T); a row without a target is all False.
        targets: the same texts with their truth, outside of tensors.
        features: cached output of frozen encoders, mostly in place of the source: for each encoder (B, S, width) and
            (B,) how many of the S positions are each source's; empty without a cache.
        skipped: what could not be read and is therefore not in this batch.
        sample_rate: of waveforms, in Hz; 0 for other sources.
        source_texts: sources that are texts, as they stand; empty for others.
        copies: (B, S) int64; see ``Memory.copies``. ``tokens`` hold the same ids. None unless the tokenizer copies.
        num_extra: how many ids beyond the vocabulary they have.
    """

    keys: list[str]
    source: Tensor
    source_lengths: Tensor
    tokens: Tensor
    token_mask: Tensor
    targets: list[tuple[Target, ...]]
    features: tuple[tuple[Tensor, Tensor], ...] = ()
    skipped: list[UnreadableError] = field(default_factory=list)
    sample_rate: int = 0
    source_texts: list[str] = field(default_factory=list)
    copies: Tensor | None = None
    num_extra: int = 0

    def __post_init__(self) -> None:
        self.source_texts = self.source_texts or [""] * len(self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    def waveform(self, index: int) -> Tensor | None:
        """The recording of a source without padding, (L,); None where there is none, or its features alone are here."""
        if self.source.ndim != 2 or not self.source.is_floating_point():
            return None
        return self.source[index, : int(self.source_lengths[index])]

    def _map(self, function: Any) -> Batch:
        tensors = {name: getattr(self, name) for name in ("source", "source_lengths", "tokens", "token_mask")}
        features = tuple((function(values), function(lengths)) for values, lengths in self.features)
        copies = None if self.copies is None else function(self.copies)
        changed = {name: function(tensor) for name, tensor in tensors.items()}
        return replace(self, **changed, features=features, copies=copies)

    def to(self, *args: Any, **kwargs: Any) -> Batch:
        return self._map(lambda tensor: tensor.to(*args, **kwargs))

    def pin_memory(self) -> Batch:
        return self._map(lambda tensor: tensor.pin_memory())


# --------------------------------------------------------------------------------------------------- layout


@dataclass(frozen=True)
class Grid:
    """Memory positions are the cells of a picture, row by row, and tile the whole picture."""

    rows: int
    columns: int

    def cell(self, position: int) -> Box:
        """The box of a memory position."""
        row, column = divmod(position, self.columns)
        return Box(column / self.columns, row / self.rows, (column + 1) / self.columns, (row + 1) / self.rows)


@dataclass(frozen=True)
class Timeline:
    """Memory position s speaks of ``[offset + s * step, offset + (s + 1) * step)`` seconds of the recording."""

    step_seconds: float
    offset_seconds: float = 0.0

    def span(self, position: int) -> Span:
        """The time of a memory position."""
        start = self.offset_seconds + position * self.step_seconds
        return Span(start, start + self.step_seconds)

    def shifted(self, seconds: float) -> Timeline:
        """The same steps, so many seconds later."""
        return Timeline(self.step_seconds, self.offset_seconds + seconds)


@dataclass(frozen=True)
class TokenAxis:
    """Memory positions are the tokens of a source text, <eos> the last of them."""


Layout = Grid | Timeline | TokenAxis


# --------------------------------------------------------------------------------------------------- memory


@dataclass
class Memory:
    """What an encoder hands to attention: nothing after this line knows the modality, only the layout.

    Attributes:
        states: (B, S, D).
        mask: (B, S), True = real.
        layout: where each position lies in the source.
        keys: (B, S, D) what attention compares with its query, where that is not what it takes; None for ``states``.
        copies: (B, S) int64, the token that is written when a position is copied. Ids from V on are words of this
            source alone, which the vocabulary lacks. None where nothing can be copied.
        num_extra: E, how many such ids the batch has.
        source_texts: B texts, whose words these are; empty where nothing can be copied.
        shares: (B, S, P) how much of each state came from each of P streams, P shares that sum to 1; None in training,
            and for encoders of a single stream.
    """

    states: Tensor
    mask: Tensor
    layout: Layout
    keys: Tensor | None = None
    copies: Tensor | None = None
    num_extra: int = 0
    source_texts: tuple[str, ...] = ()
    shares: Tensor | None = None

    @property
    def compared(self) -> Tensor:
        """What attention compares with its query, (B, S, D)."""
        return self.states if self.keys is None else self.keys

    def select(self, sources: Tensor | slice) -> Memory:
        """The chosen sources: (B',) indices copy, a slice gives views."""
        parts = (self.keys, self.copies, self.shares)
        keys, copies, shares = (None if each is None else each[sources] for each in parts)
        texts = self.source_texts
        if isinstance(sources, slice):
            texts = texts[sources]
        elif texts:
            texts = tuple(texts[index] for index in sources.tolist())
        return Memory(
            self.states[sources], self.mask[sources], self.layout, keys, copies, self.num_extra, texts, shares
        )


@dataclass
class DecoderOutput:
    """A teacher-forced pass over ``tokens`` (B, K, T): step t reads token t and predicts token t + 1.

    Attributes:
        logits: (R, V), only the R steps that predict a real token, in the order of ``labels``:
            the vocabulary's product over padding would be the largest waste of a training step.
        labels: (R,) the tokens that these steps should predict.
        weights: (B, K, T - 1, N, S) attention of each step, zero where ``mask`` is False.
        mask: (B, K, T - 1), True where a step predicts a real token; R of them.
        choices: (B, K, T - 1, N) int64, the position that made each context, -1 where the weights did; only of
            mechanisms that draw one in training, else None.
    """

    logits: Tensor
    labels: Tensor
    weights: Tensor
    mask: Tensor
    choices: Tensor | None = None


COPYING = "copying"
"""``Hypothesis.gate_name`` of decoders whose gate is the probability that a token was copied from the source."""


@dataclass
class Hypothesis:
    """One text that a search returns, with the attention that belongs to exactly its tokens.

    Attributes:
        tokens: without <bos>, and without the <eos> that ended it.
        score: what the search maximized (for a beam, the length-normalized log probability).
        log_probs: (T,) log probability of each token in ``tokens``.
        weights: (T, N, S) attention when each of ``tokens`` was written; S still counts padding.
        hit_max_length: the search was cut off before <eos>.
        scores: what each scorer gives to ``score``, which is their sum.
        gate: for each of ``tokens`` the share of the context that the decoder let through, in [0, 1]; None for decoders
            without a gate.
        gate_name: what the decoder calls it.
    """

    tokens: list[int]
    score: float
    log_probs: Tensor
    weights: Tensor
    hit_max_length: bool = False
    scores: dict[str, float] = field(default_factory=dict)
    gate: list[float] | None = None
    gate_name: str = ""

    @property
    def flags(self) -> list[str]:
        """See ``text_flags``."""
        return text_flags(self.tokens, self.hit_max_length)


def text_flags(tokens: list[int], hit_max_length: bool) -> list[str]:
    """Names of what looks wrong with a text: ``empty``, ``looped``, ``hit_max_length``."""
    # It ends in the same 1 to 8 tokens at least four times in a row.
    looped = any(len(tokens) >= 4 * n and tokens[-4 * n :] == 4 * tokens[-n:] for n in range(1, 9))
    found = {"empty": not tokens, "looped": looped, "hit_max_length": hit_max_length}
    return [name for name, wrong in found.items() if wrong]
