"""Captions photos, transcribes recordings and translates texts with a trained run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from multimodal_attn.data.modalities import reader_of
from multimodal_attn.data.reading.text import single_spaces
from multimodal_attn.distributed import gather_to_first, process_share
from multimodal_attn.prediction.checkpoint import Run
from multimodal_attn.prediction.decode import decode_examples
from multimodal_attn.prediction.ensemble import load_together
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.processes import own_device
from multimodal_attn.search import BeamSearch
from multimodal_attn.types import Example, UnreadableError

AT_ONCE = 32
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
        self.reader = reader_of(run.module.model.encoder.reads, run.config.data)

    def caption(self, photo: str | Path) -> str:
        """The caption of a photo file.

        Raises:
            UnreadableError: if the file cannot be read as what the run was trained on.
        """
        return self.inspect(photo).text

    def transcribe(self, recording: str | Path) -> str:
        """The transcript of a recording; raises as ``caption`` does."""
        return self.inspect(recording).text

    def translate(self, text: str) -> str:
        """The translation of a text.

        Raises:
            ValueError: if the run was not trained on texts.
        """
        if (modality := self.reader.modality) != "text":
            raise ValueError(f"run: '{self.run.folder}' was trained on {modality}s; expected one trained on texts")
        return decode_examples(self.run.module, [Example("text", single_spaces(text))], self.search)[0].text

    def inspect(self, path: str | Path) -> Prediction:
        """Text and attention of one photo or recording, or of the first line of a text file."""
        return decode_examples(self.run.module, self._read(path)[:1], self.search)[0]

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of the files in a folder that this run can be asked about; of texts, also that of the language it reads."""
        language = self.run.config.data.get("source_language")
        return (*self.reader.suffixes, language) if language else self.reader.suffixes

    def predict(self, paths: Iterable[str | Path]) -> Iterator[Prediction | UnreadableError]:
        """What ``inspect`` gives for each file, or why it cannot be read; in order, as soon as it is known.

        Each line of a text file is a source of its own.
        """
        yield from self._decode(self._read_all(paths))

    def _decode(self, remaining: Iterator[Example | UnreadableError]) -> Iterator[Prediction | UnreadableError]:
        while read := list(islice(remaining, self.reader.at_once)):
            examples = [found for found in read if isinstance(found, Example)]
            records = iter(decode_examples(self.run.module, examples, self.search) if examples else [])
            for found in read:
                yield next(records) if isinstance(found, Example) else found

    def predict_together(self, paths: Sequence[str | Path]) -> Iterator[Prediction | UnreadableError]:
        """What ``predict`` gives, from all processes that call this (``runs/processes.py``), in the first of them.

        The others give nothing. Sources are handed out some at a time, so that results come while others are at work.
        """
        rank, number = process_share()
        if number == 1:
            yield from self.predict(paths)
            return
        # A text file is quick to read and holds any number of sources: its lines are handed out, of others the files.
        by_line = not self.reader.in_files
        remaining: Iterator[Any] = self._read_all(paths) if by_line else iter(paths)
        while batch := list(islice(remaining, number * AT_ONCE)):
            own = batch[rank * AT_ONCE : (rank + 1) * AT_ONCE]
            found = self._decode(iter(own)) if by_line else self.predict(own)
            for share in gather_to_first(list(found)) or []:
                yield from share

    def _read_all(self, paths: Iterable[str | Path]) -> Iterator[Example | UnreadableError]:
        for path in paths:
            try:
                yield from self._read(path)
            except UnreadableError as error:
                yield error

    def _read(self, path: str | Path) -> list[Example]:
        """What a file holds, one example at least."""
        try:
            return self.reader.examples(str(path))
        except UnreadableError as error:
            raise UnreadableError(error.path, f"{error.reason} (this run expects {self.reader.phrase})") from None


def load(run: str | Path, width: int = 5, ensemble: Sequence[str | Path] = ()) -> Predictor:
    """A predictor from the folder of a trained run, on a GPU if there is one.

    Args:
        run: a folder, or a checkpoint file.
        width: of the beam.
        ensemble: further runs that predict together with it.

    Raises:
        ValueError: if there is no readable checkpoint, or the runs do not go together.
    """
    loaded = load_together(run, ensemble)
    loaded.module.to(own_device())
    return Predictor(loaded, width)
