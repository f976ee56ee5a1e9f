"""Recordings heard as if someone were still speaking: live.jsonl and what it costs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

from rich.progress import track
from torch import Tensor

from multimodal_attn.evaluation.bootstrap import Interval
from multimodal_attn.evaluation.live import LiveScores
from multimodal_attn.parts import checked
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.prediction.recordings.live import Heard, Live, LiveSettings
from multimodal_attn.prediction.recordings.transcriber import check_recordings
from multimodal_attn.types import Example
from multimodal_attn.writing import write_file


def live_settings(predictor: Predictor, settings: Mapping[str, Any]) -> LiveSettings:
    """From the values of ``live`` in a configuration.

    Raises:
        ValueError: for one that does not exist or is out of its range, or a run that cannot be heard live.
    """
    known = get_type_hints(LiveSettings, include_extras=True)
    if unknown := [key for key in settings if key not in known]:
        raise ValueError(f"live.{unknown[0]}: no such setting; expected some of {', '.join(known)}")
    found = LiveSettings(**{key: checked(f"live.{key}", value, known[key]) for key, value in settings.items()})
    check_recordings(predictor, found.word_times)
    return found


def measure_streaming(
    predictor: Predictor, examples: Sequence[Example], settings: LiveSettings, folder: Path
) -> tuple[dict[str, float], dict[str, Interval]]:
    """Hears the examples piece by piece and as a whole, and writes what was written when.

    Time is that of the recording: a word is written when so many seconds of it have been heard. What a machine needs
    to read them comes on top, and is measured by itself.

    Args:
        predictor: on its device, in evaluation mode.
        examples: waveforms as they are.
        settings: when a word is sure.
        folder: for ``live.jsonl``.

    Returns:
        What belongs into metrics.json, with its intervals.
    """
    scores, lines = LiveScores(), []
    for example in track(examples, f"hearing {len(examples)} recordings live"):
        assert isinstance(example.source, Tensor)
        whole = predictor.predict([example])[0].text
        session = _Session(predictor, example.source, settings)
        words, written = session.words, [heard.seconds for heard in session.heard for _ in heard.words]
        texts, target = [word["word"] for word in words], example.targets[0]
        seconds = len(example.source) / predictor.reader.sample_rate
        scores.add(texts, written, whole, target, session.first_shown, session.looks, seconds)
        timed = [{**word, "written": round(when, 3)} for word, when in zip(words, written, strict=True)]
        line = {"key": example.key, "text": " ".join(texts), "whole": whole, "reference": target.text, "words": timed}
        lines.append(json.dumps({**line, "looks": [found.as_dict() for found in session.heard]}, ensure_ascii=False))
    write_file(folder / "live.jsonl", "".join(f"{line}\n" for line in lines))
    return scores.compute(), scores.intervals()


class _Session:
    """A recording that is heard live.

    Attributes:
        heard: what each look has brought that was new.
        words: all that became sure.
        first_shown: for each place that ever held a word, the first one.
        looks: seconds of work that each look took.
    """

    def __init__(self, predictor: Predictor, samples: Tensor, settings: LiveSettings) -> None:
        self.heard: list[Heard] = []
        self.words: list[dict[str, Any]] = []
        self.first_shown: list[str] = []
        self.looks: list[float] = []
        live, size = Live(predictor, settings), round(settings.period_seconds * predictor.reader.sample_rate)
        for piece in samples.split(size):
            self._look(partial(live.hear, piece.numpy()))
        self._look(live.finish)

    def _look(self, look: Callable[[], Heard | None]) -> None:
        before = time.perf_counter()
        found = look()
        self.looks.append(time.perf_counter() - before)
        if found is not None:
            shown = [word.text for word in (*found.words, *found.tentative)]
            self.first_shown += shown[max(0, len(self.first_shown) - len(self.words)) :]
            self.words += [word.as_dict() for word in found.words]
            self.heard.append(found)
