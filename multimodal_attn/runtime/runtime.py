"""An exported model at work."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image

from multimodal_attn.data.reading.arrays import encoded, mono_of, picture_of
from multimodal_attn.data.reading.pixels import read_pixels
from multimodal_attn.data.reading.samples import check_samples, read_samples
from multimodal_attn.data.reading.text import single_spaces
from multimodal_attn.data.tokenizers.vocabulary import Vocabulary
from multimodal_attn.runtime.beam import beam
from multimodal_attn.runtime.description import Description
from multimodal_attn.runtime.graphs import Graphs, Step
from multimodal_attn.runtime.output import Output
from multimodal_attn.runtime.resampling import resample
from multimodal_attn.types import BOS, EOS, UNK, UnreadableError


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
        width = self.description.width if width is None else width
        if not 1 <= width <= 1000:
            raise ValueError(f"width: {width}; expected 1 to 1000")
        if isinstance(source, list):
            return [self._write(one, sample_rate, width) for one in source]
        return self._write(source, sample_rate, width)

    def _write(self, source: Any, sample_rate: int | None, width: int) -> Output:
        key = str(source) if isinstance(source, str | Path) else type(source).__name__
        shown, array = self._read(source, sample_rate, key)
        states, mask = self._graphs.encode(array[None], np.array([len(array)], dtype=np.int64))
        projected, state = self._graphs.begin(states, mask, np.full((1, width), BOS, dtype=np.int64))

        vocabulary = self.description.vocabulary

        def advance(tokens: np.ndarray, state: list[np.ndarray]) -> Step:
            step = self._graphs.step(tokens, states, mask, projected, state)
            if (size := step.logits.shape[-1]) != len(vocabulary.parts):
                known = len(vocabulary.parts)
                raise ValueError(f"step.onnx: logits of {size} tokens; expected {known}, as model.json has")
            return step

        limit, ratio = self.description.max_length, self.description.max_length_ratio
        if ratio is not None:
            limit = min(limit, max(1, math.ceil(float(np.float32(mask.sum()) * np.float32(ratio)))))
        texts = beam(advance, state, width, self.description.length_penalty, limit)
        best, *others = [Output(key, shown, self.description, text) for text in texts]
        best.others = others
        return best

    def _read(self, source: Any, sample_rate: int | None, key: str) -> tuple[np.ndarray, np.ndarray]:
        """A source as it is shown, and as the first graph takes it."""
        try:
            return {"picture": self._picture, "recording": self._recording, "text": self._text}[self.description.reads](
                source, sample_rate
            )
        except UnreadableError as error:
            raise UnreadableError(key, f"{error.reason} (this model expects a {self.description.reads})") from None
        except (TypeError, ValueError) as error:
            raise UnreadableError(key, f"{error} (this model expects a {self.description.reads})") from None

    def _picture(self, source: Any, sample_rate: int | None) -> tuple[np.ndarray, np.ndarray]:
        if not isinstance(source, str | Path):
            picture = source if isinstance(source, bytes | Image.Image) else picture_of(source)
            source = io.BytesIO(picture) if isinstance(picture, bytes) else encoded(picture)
        pixels = read_pixels(source, self.description.image_size, self.description.fit)
        return pixels, np.ascontiguousarray(pixels.transpose(2, 0, 1))

    def _recording(self, source: Any, sample_rate: int | None) -> tuple[np.ndarray, np.ndarray]:
        wanted = self.description.sample_rate
        if isinstance(source, str | Path | bytes):
            place = io.BytesIO(source) if isinstance(source, bytes) else source
            samples, rate = read_samples(place, longest_seconds=self.description.longest_seconds)
        else:
            rate = sample_rate or wanted
            samples = mono_of(source, rate)
            check_samples(samples, rate, "waveform")
        waveform = resample(samples, rate, wanted)
        return waveform, waveform

    def _text(self, source: Any, sample_rate: int | None) -> tuple[np.ndarray, np.ndarray]:
        if not isinstance(source, str) or not source.strip():
            raise ValueError("is no text")
        assert self._encode_text is not None
        assert self.description.source_vocabulary is not None
        tokens = [*self._encode_text(single_spaces(source)), EOS]
        pieces = self.description.source_vocabulary.pieces
        return np.array([pieces[token] for token in tokens]), np.array(tokens, dtype=np.int64)


def _text_encoder(vocabulary: Vocabulary, pieces_model: bytes) -> Any:
    """From a text to token ids."""
    if vocabulary.unit == "piece":
        try:
            import sentencepiece
        except ImportError:
            raise ValueError("this model reads pieces of words: expected the package sentencepiece") from None
        try:
            return sentencepiece.SentencePieceProcessor(model_proto=pieces_model).encode
        except RuntimeError as error:
            raise ValueError(f"source_vocabulary.sentencepiece: {error}; expected its own model") from None
    ids = {part.strip() or part: token for token, part in enumerate(vocabulary.parts) if token > UNK}

    def encode(text: str) -> list[int]:
        return [ids.get(one, UNK) for one in (text.split() if vocabulary.unit == "word" else text)]

    return encode
