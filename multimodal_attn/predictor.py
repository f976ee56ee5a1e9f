"""Captions photos and transcribes recordings with a trained run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from multimodal_attn.data import audio, images
from multimodal_attn.inspection.decode import decode_examples
from multimodal_attn.inspection.record import AttentionRecord
from multimodal_attn.models.encoders.picture import PictureEncoder
from multimodal_attn.runs.checkpoint import Run
from multimodal_attn.runs.checkpoint import load as load_run
from multimodal_attn.runs.processes import own_device
from multimodal_attn.search import BeamSearch
from multimodal_attn.training.gather import gather_to_first, process_share
from multimodal_attn.types import Example, UnreadableError

PHOTOS_AT_ONCE = 16
FILES_AT_ONCE = 2 * PHOTOS_AT_ONCE
"""Of each of several processes; whole batches of photos, so that they are those of a single process."""


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

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of the files in a folder that this run can be asked about."""
        return images.SUFFIXES if self.reads_pictures else audio.SUFFIXES

    def predict(self, paths: Iterable[str | Path]) -> Iterator[AttentionRecord | UnreadableError]:
        """What ``inspect`` gives for each file, or why it cannot be read; in order, as soon as it is known."""
        # Photos have one size; a batch of recordings would take the memory of the longest for each.
        remaining = iter(paths)
        while batch := list(islice(remaining, PHOTOS_AT_ONCE if self.reads_pictures else 1)):
            read = [self._try_to_read(path) for path in batch]
            examples = [found for found in read if isinstance(found, Example)]
            records = iter(decode_examples(self.run.module, examples, self.search) if examples else [])
            for found in read:
                yield next(records) if isinstance(found, Example) else found

    def predict_together(self, paths: Sequence[str | Path]) -> Iterator[AttentionRecord | UnreadableError]:
        """What ``predict`` gives, from all processes that call this (``runs/processes.py``), in the first of them.

        The others give nothing. Files are handed out some at a time, so that results come while others are at work.
        """
        rank, number = process_share()
        if number == 1:
            yield from self.predict(paths)
            return
        for start in range(0, len(paths), number * FILES_AT_ONCE):
            first = start + rank * FILES_AT_ONCE
            shares = gather_to_first(list(self.predict(paths[first : first + FILES_AT_ONCE])))
            for share in shares or []:
                yield from share

    def _try_to_read(self, path: str | Path) -> Example | UnreadableError:
        try:
            return self._read(path)
        except UnreadableError as error:
            return error

    def _read(self, path: str | Path) -> Example:
        data = self.run.config.data
        try:
            if self.reads_pictures:
                fit = data.get("fit", "squash")  # the built-in scenes are square and have no such key
                source = images.read_image(path, data.image_size, fit)
            else:
                source = audio.read_audio(path, data.sample_rate)
        except UnreadableError as error:
            kind = "a picture" if self.reads_pictures else "a recording"
            raise UnreadableError(error.path, f"{error.reason} (this run expects {kind})") from None
        return Example(str(path), source)


def load(run: str | Path, width: int = 5) -> Predictor:
    """A predictor from the folder of a trained run, on a GPU if there is one.

    Raises:
        ValueError: if there is no readable checkpoint.
    """
    loaded = load_run(run)
    loaded.module.to(own_device())
    return Predictor(loaded, width)
