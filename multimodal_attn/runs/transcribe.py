"""Transcripts of recordings of any length, with the time of every word, as text, json or subtitles."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from multimodal_attn.data.audio import read_audio
from multimodal_attn.data.segmentation import cuts, is_silent, levels, segments
from multimodal_attn.evaluation.timing import onset_times
from multimodal_attn.inspection.decode import decode_examples
from multimodal_attn.models.encoders.picture import PictureEncoder
from multimodal_attn.runs.checkpoint import Run
from multimodal_attn.search import BeamSearch
from multimodal_attn.types import Example, Span, Timeline

FORMATS = ("txt", "json", "srt")
_LINE_WORDS, _LINE_GAP_SECONDS = 12, 0.7  # a line of text ends after so many words, or at such a pause


class Word(NamedTuple):
    """A word with its time in seconds from the start of the recording."""

    text: str
    start: float
    end: float


Decode = Callable[[list[Tensor]], list[list[Word]]]
"""Waveforms to words, with times from the start of each waveform."""


class Transcriber:
    """Splits recordings at pauses, with overlap, decodes the parts in batches and joins them.

    A recording is read by the block, so that memory does not grow with its length.

    Args:
        decode: of a batch of waveforms; see ``decoder_of``.
        sample_rate: that ``decode`` expects, in Hz.
        max_seconds: of a part; what the run was trained on is best.
        overlap_seconds: that two parts share.
        batch_size: parts that are decoded together.

    Raises:
        ValueError: if the overlap does not leave room for progress.
    """

    def __init__(
        self,
        decode: Decode,
        sample_rate: int,
        max_seconds: float = 20.0,
        overlap_seconds: float = 1.0,
        batch_size: int = 8,
    ) -> None:
        if not 0 <= overlap_seconds <= max_seconds / 3:
            raise ValueError(
                f"overlap: {overlap_seconds:g} s of {max_seconds:g} s; expected 0 to a third of the longest part"
            )
        if batch_size < 1:
            raise ValueError(f"batch size: {batch_size}; expected at least 1")
        self.decode, self.sample_rate, self.batch_size = decode, sample_rate, batch_size
        self.max_seconds, self.overlap_seconds = max_seconds, overlap_seconds

    def __call__(self, path: str | Path) -> list[Word]:
        """The words of a recording.

        Raises:
            UnreadableError: if it cannot be decoded.
        """
        level = levels(path)
        cut_at = cuts(level, self.max_seconds - self.overlap_seconds)
        parts = segments(level, cut_at, self.overlap_seconds)
        heard = [span for span in parts if not is_silent(level, span)]
        decoded: dict[Span, list[Word]] = {}
        for first in range(0, len(heard), self.batch_size):
            spans = heard[first : first + self.batch_size]
            waveforms = [read_audio(path, self.sample_rate, span.start, span.end - span.start) for span in spans]
            for span, words in zip(spans, self.decode(waveforms), strict=True):
                decoded[span] = [Word(w.text, w.start + span.start, w.end + span.start) for w in words]
        joined = decoded.get(parts[0], [])
        for cut, span in zip(cut_at, parts[1:], strict=True):
            joined = join(joined, decoded.get(span, []), cut, self.overlap_seconds)
        return joined


def join(left: list[Word], right: list[Word], cut: float, overlap_seconds: float) -> list[Word]:
    """Words of two parts that overlap around ``cut``, those in the overlap once.

    Where both parts agree on a stretch of words there, the left one's lead up to its end and the right one's go on.
    Where they agree on none, each has the words whose middle lies on its side of the cut.
    """
    # Times from attention are not exact: what lies within a whole overlap of the cut may have been heard twice.
    tail = next((i for i, word in enumerate(left) if word.end > cut - overlap_seconds), len(left))
    head = next((i for i, word in enumerate(right) if word.start > cut + overlap_seconds), len(right))
    texts = [word.text for word in left[tail:]], [word.text for word in right[:head]]
    match = SequenceMatcher(None, *texts, autojunk=False).find_longest_match()
    if match.size:
        return left[: tail + match.a + match.size] + right[match.b + match.size :]
    return [word for word in left if word.start + word.end < 2 * cut] + [
        word for word in right if word.start + word.end >= 2 * cut
    ]


@torch.no_grad()
def decoder_of(run: Run, width: int = 5) -> Decode:
    """Decodes with a run's model and a beam, on a GPU if there is one; times come from attention.

    Raises:
        ValueError: if the run was not trained on recordings.
    """
    if isinstance(run.module.model.encoder, PictureEncoder):
        raise ValueError(f"run: '{run.folder}' was trained on pictures; expected one that was trained on recordings")
    module = run.module.to("cuda" if torch.cuda.is_available() else "cpu")
    limits = run.config.search
    search = BeamSearch(width, max_length=limits.max_length, max_length_ratio=limits.max_length_ratio)

    def decode(waveforms: list[Tensor]) -> list[list[Word]]:
        results = []
        for record in decode_examples(module, [Example("", waveform) for waveform in waveforms], search):
            assert isinstance(record.layout, Timeline)
            spans = onset_times(
                record.weights.mean(axis=1), record.layout, [(first, stop) for _, first, stop in record.words]
            )
            results.append([Word(w, *span) for (w, _, _), span in zip(record.words, spans, strict=True)])
        return results

    return decode


def lines(words: list[Word]) -> Iterator[list[Word]]:
    """Words in lines that can be read at a glance: at most twelve words, and no pause within."""
    line = words[:1]
    for before, word in pairwise(words):
        if len(line) >= _LINE_WORDS or word.start - before.end > _LINE_GAP_SECONDS:
            yield line
            line = []
        line.append(word)
    if line:
        yield line


def render(words: list[Word], path: str | Path, kind: str) -> str:
    """A transcript as text (start, end and words, separated by tabs), a line of json, or srt subtitles.

    Raises:
        ValueError: for another format.
    """
    if kind not in FORMATS:
        raise ValueError(f"format: {kind!r}; expected one of {', '.join(FORMATS)}")
    rows = [(line[0].start, line[-1].end, " ".join(word.text for word in line)) for line in lines(words)]
    if kind == "txt":
        return "".join(f"{_clock(start)}\t{_clock(end)}\t{text}\n" for start, end, text in rows)
    if kind == "srt":
        return "".join(
            f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n"
            for number, (start, end, text) in enumerate(rows, start=1)
        )
    content = {
        "file": str(path),
        "text": " ".join(word.text for word in words),
        "words": [{"word": w.text, "start": round(w.start, 3), "end": round(w.end, 3)} for w in words],
    }
    return json.dumps(content, ensure_ascii=False) + "\n"


def _clock(seconds: float, point: str = ".") -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
