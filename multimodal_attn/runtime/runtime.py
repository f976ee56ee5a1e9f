"""An exported model at work."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
from PIL import Image

from multimodal_attn.data.reading.arrays import encoded, mono_of, picture_of
from multimodal_attn.data.reading.pixels import read_pixels
from multimodal_attn.data.reading.samples import check_samples, read_samples
from multimodal_attn.data.reading.segmentation import waveform_levels
from multimodal_attn.data.reading.text import prepared, single_spaces
from multimodal_attn.data.tokenizers.vocabulary import Vocabulary
from multimodal_attn.optional_packages import require_packages
from multimodal_attn.prediction.recordings.unread import lead
from multimodal_attn.runtime.beam import Text, beam
from multimodal_attn.runtime.description import Description
from multimodal_attn.runtime.graphs import Graphs, Step
from multimodal_attn.runtime.output import Output
from multimodal_attn.runtime.resampling import resample
from multimodal_attn.types import BOS, EOS, UNK, Modality, UnreadableError

_AT_ONCE = 16  # of a list
_Arrays = tuple[np.ndarray, np.ndarray, float]
"""Of ``Read`` all but the key."""


class Read(NamedTuple):
    """A source that has been read.

    Attributes:
        key: the path of a file, or the kind of what was given.
        shown: as people see it, see ``Output.source``.
        array: as the first graph takes it, without the axis of a batch.
        pause_seconds: at the beginning of a recording, that ``array`` lacks, as nothing is said there.
    """

    key: str
    shown: np.ndarray
    array: np.ndarray
    pause_seconds: float = 0.0


class Runtime:
    """Reads a picture, a recording or a text, and writes what its model was trained to write.

    Args:
        folder: that ``multimodal-attn export`` has written.
        threads: that compute; None for all cores.

    Raises:
        ValueError: if the folder is no exported model.
    """

    def __init__(self, folder: str | Path, threads: int | None = None) -> None:
        self.description = Description.read(Path(folder))
        self._graphs = Graphs(Path(folder), threads)
        source = self.description.source_vocabulary
        self._encode_text = None if source is None else _text_encoder(source, self.description.pieces_model)

    @overload
    def __call__(self, source: list[Any], sample_rate: int | None = None, width: int | None = None) -> list[Output]: ...

    @overload
    def __call__(self, source: Any, sample_rate: int | None = None, width: int | None = None) -> Output: ...

    def __call__(self, source: Any, sample_rate: int | None = None, width: int | None = None) -> Output | list[Output]:
        """What the model writes for a source.

        Args:
            source: the path of a file, its bytes, a PIL image or an array; for a model of texts, the text itself. A
                list of sources gives a list of outputs.
            sample_rate: in Hz, of a waveform that comes as an array; None for the model's own.
            width: of the beam; None for that of the export, 1 for the best token of every step.

        Shapes:
            A picture is (height, width, 3) or (height, width), of bytes or of floats in [0, 1]. A waveform is (L,) or
            (channels, L).

        Raises:
            UnreadableError: if a source cannot be read as what the model was trained on.
        """
        if not isinstance(source, list):
            return self.write([self.read(source, sample_rate)], width)[0]
        # A batch of recordings would take the memory of its longest for each.
        at_once = _AT_ONCE if self.together and self.description.reads != "recording" else 1
        found: list[Output] = []
        remaining = iter(source)
        while some := list(islice(remaining, at_once)):
            found += self.write([self.read(one, sample_rate) for one in some], width)
        return found

    @property
    def together(self) -> bool:
        """Whether sources may be decoded together: in int8, what is multiplied is rounded by the largest of a batch."""
        return self.description.precision != "int8"

    def read(self, source: Any, sample_rate: int | None = None, longest_seconds: float | None = None) -> Read:
        """A source, ready for ``write``; errors as of a call.

        Args:
            source, sample_rate: as of a call.
            longest_seconds: of a recording in a file; None for what the model's description says.
        """
        key = str(source) if isinstance(source, str | Path) else type(source).__name__
        readers: dict[Modality, Callable[[Any, int | None, float | None], _Arrays]] = {
            "picture": self._picture,
            "recording": self._recording,
            "text": self._text,
        }
        try:
            return Read(key, *readers[self.description.reads](source, sample_rate, longest_seconds))
        except UnreadableError as error:
            raise UnreadableError(key, f"{error.reason} (this model expects a {self.description.reads})") from None
        except (TypeError, ValueError) as error:
            raise UnreadableError(key, f"{error} (this model expects a {self.description.reads})") from None

    def write(self, sources: Sequence[Read], width: int | None = None) -> list[Output]:
        """What the model writes for sources that are decoded together, each as it would be by itself.

        Shorter ones are padded to the longest: a batch takes the memory of that for each.

        Args:
            sources: at least one.
            width: of the beam, as in a call.

        Raises:
            ValueError: for another width, or graphs that do not go with the description.
        """
        width = self.description.width if width is None else width
        if not 1 <= width <= 1000:
            raise ValueError(f"width: {width}; expected 1 to 1000")
        lengths = np.array([len(source.array) for source in sources], dtype=np.int64)
        states, mask = self._graphs.encode(_padded([source.array for source in sources]), lengths)
        projected, state = self._graphs.begin(states, mask, np.full((len(sources), width), BOS, dtype=np.int64))
        vocabulary = self.description.vocabulary
        going, given = np.arange(len(sources)), [states, mask, *projected]

        def advance(tokens: np.ndarray, state: list[np.ndarray], on: np.ndarray) -> Step:
            nonlocal going, given
            if len(on) < len(going):  # the others have ended
                given, going = [part[np.isin(going, on)] for part in given], on
            step = self._graphs.step(tokens, given[0], given[1], given[2:], state)
            if (size := step.logits.shape[-1]) != len(vocabulary.parts):
                known = len(vocabulary.parts)
                raise ValueError(f"step.onnx: logits of {size} tokens; expected {known}, as model.json has")
            return step

        positions = mask.sum(1)
        limits, ratio = np.full(len(sources), self.description.max_length), self.description.max_length_ratio
        if ratio is not None:
            by_length = np.ceil(positions.astype(np.float32) * np.float32(ratio)).astype(np.int64)
            limits = np.minimum(limits, np.maximum(1, by_length))
        found = beam(advance, state, width, self.description.length_penalty, limits)
        return [
            self._output(source, [text._replace(weights=text.weights[..., :real]) for text in texts])
            for source, texts, real in zip(sources, found, positions, strict=True)
        ]

    def _output(self, source: Read, texts: list[Text]) -> Output:
        best, *others = [
            Output(source.key, source.shown, self.description, text, source.pause_seconds) for text in texts
        ]
        best.others = others
        return best

    def _picture(self, source: Any, *unused: float | None) -> _Arrays:
        if not isinstance(source, str | Path):
            picture = source if isinstance(source, bytes | Image.Image) else picture_of(source)
            source = io.BytesIO(picture) if isinstance(picture, bytes) else encoded(picture)
        pixels = read_pixels(source, self.description.image_size, self.description.fit)
        return pixels, np.ascontiguousarray(pixels.transpose(2, 0, 1)), 0.0

    def _recording(self, source: Any, sample_rate: int | None, longest_seconds: float | None) -> _Arrays:
        wanted, longest = self.description.sample_rate, self.description.longest_seconds
        if isinstance(source, str | Path | bytes):
            place = io.BytesIO(source) if isinstance(source, bytes) else source
            samples, rate = read_samples(place, longest_seconds=min(longest, longest_seconds or longest))
        else:
            rate = sample_rate or wanted
            samples = mono_of(source, rate)
            check_samples(samples, rate, "waveform")
        waveform = resample(samples, rate, wanted)
        pause = lead(waveform_levels(waveform, wanted))
        return waveform, waveform[round(pause * wanted) :], pause

    def _text(self, source: Any, *unused: float | None) -> _Arrays:
        if not isinstance(source, str) or not source.strip():
            raise ValueError("is no text")
        assert self._encode_text is not None
        assert self.description.source_vocabulary is not None
        settings = self.description.source_normalize, self.description.max_source_tokens
        tokens = [*self._encode_text(prepared(single_spaces(source), *settings)), EOS]
        pieces = self.description.source_vocabulary.pieces
        return np.array([pieces[token] for token in tokens]), np.array(tokens, dtype=np.int64), 0.0


def _padded(arrays: list[np.ndarray]) -> np.ndarray:
    """Arrays (L, ...) as one, (B, longest, ...), with zeros at the end."""
    longest = max(len(array) for array in arrays)
    batch = np.zeros((len(arrays), longest, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
    for row, array in zip(batch, arrays, strict=True):
        row[: len(array)] = array
    return batch


def _text_encoder(vocabulary: Vocabulary, pieces_model: bytes) -> Any:
    """From a text to token ids."""
    if vocabulary.unit == "piece":
        require_packages("source_vocabulary", "subword", "sentencepiece")
        import sentencepiece

        try:
            return sentencepiece.SentencePieceProcessor(model_proto=pieces_model).encode
        except RuntimeError as error:
            raise ValueError(f"source_vocabulary.sentencepiece: {error}; expected its own model") from None
    ids = {part.strip() or part: token for token, part in enumerate(vocabulary.parts) if token > UNK}

    def encode(text: str) -> list[int]:
        return [ids.get(one, UNK) for one in (text.split() if vocabulary.unit == "word" else text)]

    return encode
