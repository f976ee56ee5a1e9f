"""Captions photos and transcribes recordings with a trained run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from multimodal_attn.data.audio import read_audio
from multimodal_attn.data.images import read_image
from multimodal_attn.inspection.decode import decode_examples
from multimodal_attn.inspection.record import AttentionRecord
from multimodal_attn.models.encoders.picture import PictureEncoder
from multimodal_attn.runs.checkpoint import Run
from multimodal_attn.runs.checkpoint import load as load_run
from multimodal_attn.search import BeamSearch
from multimodal_attn.types import Example, UnreadableError


class Predictor:
    """A trained run with a beam search, for files.

    Args:
        run: as ``load_run`` gives it.
        width: of the beam.
    """

    def __init__(self, run: Run, width: int = 5) -> None:
        self.run = run
        limits = run.config.search
        self.search = BeamSearch(width, max_length=limits.max_length, max_length_ratio=limits.max_length_ratio)
        self.reads_pictures = isinstance(run.module.model.encoder, PictureEncoder)

    def caption(self, photo: str | Path) -> str:
        """The caption of a photo file.

        Raises:
            UnreadableError: if the file cannot be read as what the run was trained on.
        """
        return self.inspect(photo).text

    def transcribe(self, recording: str | Path) -> str:
        """The transcript of a recording; raises as ``caption`` does."""
        return self.inspect(recording).text

    def inspect(self, path: str | Path) -> AttentionRecord:
        """Text and attention of one file."""
        return decode_examples(self.run.module, [self._read(path)], self.search)[0]

    def predict(self, paths: Iterable[str | Path]) -> tuple[list[AttentionRecord], list[UnreadableError]]:
        """Every file that can be read, and what could not."""
        records, skipped = [], []
        for path in paths:
            try:
                records.append(self.inspect(path))
            except UnreadableError as error:
                skipped.append(error)
        return records, skipped

    def _read(self, path: str | Path) -> Example:
        data = self.run.config.data
        try:
            if self.reads_pictures:
                source = read_image(path, data.image_size, data.get("fit", "squash"))  # built-in scenes are square
            else:
                source = read_audio(path, data.sample_rate)
        except UnreadableError as error:
            kind = "a picture" if self.reads_pictures else "a recording"
            raise UnreadableError(error.path, f"{error.reason} (this run expects {kind})") from None
        return Example(str(path), source)


def load(run: str | Path, width: int = 5) -> Predictor:
    """A predictor from the folder of a trained run.

    Raises:
        ValueError: if there is no readable checkpoint.
    """
    return Predictor(load_run(run), width)
