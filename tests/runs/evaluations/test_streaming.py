"""What an evaluation measures of recordings that are heard live."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from multimodal_attn.prediction.recordings.live import LiveSettings
from multimodal_attn.runs.evaluations.streaming import live_settings, measure_streaming
from multimodal_attn.types import Example, Span, Target
from tests.prediction.recordings.test_live import RATE, SAID, predictor_of, speech


def example(key: str, said: list[str]) -> Example:
    samples, ends = speech(said)
    target = Target(" ".join(said), times=tuple(Span(end - 0.32, end) for end in ends))
    return Example(key, torch.from_numpy(samples), (target,), RATE)


def test_words_and_when_they_were_written(tmp_path: Path) -> None:
    settings = LiveSettings(margin_seconds=0.1)
    figures, ends = measure_streaming(predictor_of(), [example("a", SAID), example("b", SAID[:4])], settings, tmp_path)
    assert figures["live_wer"] == figures["live_wer_whole"] == figures["live_wer_added"] == 0
    assert figures["emission_num_words"] == len(SAID) + 4
    assert 100 <= figures["emission_delay_ms"] <= figures["emission_delay_90_ms"] <= 400
    assert figures["live_changed"] > 0  # every word begins as "uh"
    assert figures["live_num_examples"] == 2
    assert ends["emission_delay_ms"].low <= figures["emission_delay_ms"] <= ends["emission_delay_ms"].high
    first, second = map(json.loads, (tmp_path / "live.jsonl").read_text().splitlines())
    assert (first["key"], first["text"], first["whole"]) == ("a", " ".join(SAID), " ".join(SAID))
    assert all(word["written"] >= word["end"] for word in first["words"])
    shown = [
        " ".join([*(word["word"] for word in look["words"]), look["tentative"]]).strip() for look in second["looks"]
    ]
    assert "uh" in shown


def test_settings_are_named_where_they_are_wrong() -> None:
    predictor = predictor_of()
    assert live_settings(predictor, {"margin_seconds": 0.3, "agreement": 1}).margin_seconds == 0.3
    with pytest.raises(ValueError, match=r"live\.margin: no such setting; expected some of period_seconds"):
        live_settings(predictor, {"margin": 0.3})
    with pytest.raises(ValueError, match=r"live\.probability: 2"):
        live_settings(predictor, {"probability": 2})
    with pytest.raises(ValueError, match="trained without CTC"):
        live_settings(predictor, {"word_times": "ctc"})
