"""The detector warns of a collapse that lasts, with an example's key and a setting, and of nothing else."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from pytorch_lightning import Callback

from multimodal_attn.data.modalities.recording import RecordingReader
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.parts import part
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.training.callbacks.collapse import CollapseDetector, _against_repetition
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.types import Batch, Grid, Hypothesis, Layout, Memory, Target, Timeline


class Trainer:
    is_global_zero, global_step = True, 0


def module() -> Seq2SeqModule:
    """A module of which the detector uses the tokenizer, the reader's sample rate and the log."""
    tokenizer = WordTokenizer().fit(["a dog runs"])
    predictor = Predictor(torch.nn.Module(), tokenizer, None, RecordingReader(10))  # type: ignore[arg-type]
    made = Seq2SeqModule(predictor, {}, None, None)  # type: ignore[arg-type]
    made.logged = {}
    made.log = lambda name, value: made.logged.update({name: value})  # type: ignore[method-assign,assignment]
    return made


def validate(detector: CollapseDetector, made: Seq2SeqModule, text: str, cells: list[Any], layout: Layout) -> None:
    """One validation of two examples: a batch as module and loader would give it.

    ``cells`` has the cell that each token looks at, or those of its heads.
    """
    tokens = made.predictor.tokenizer.encode(text)
    weights = torch.eye(6)[torch.tensor(cells)]
    weights = weights if weights.ndim == 3 else weights[:, None]
    source = (
        torch.cat([torch.zeros(2, 20), torch.ones(2, 40)], dim=1)
        if isinstance(layout, Timeline)
        else torch.zeros(2, 3, 4, 4)
    )
    batch = Batch(
        ["first", "second"],
        source,
        torch.full((2,), 60),
        torch.zeros(2, 1, 2),
        torch.ones(2, 1, 2),
        [(Target("a dog"),)] * 2,
    )
    memory = Memory(torch.zeros(2, 6, 1), torch.ones(2, 6, dtype=torch.bool), layout)
    detector.on_validation_epoch_start(Trainer(), made)  # type: ignore[arg-type]
    detector.on_validation_batch_end(Trainer(), made, None, batch, 0)  # type: ignore[arg-type]
    best = [Hypothesis(tokens, 0.0, torch.zeros(len(tokens)), weights) for _ in range(2)]
    detector.on_validation_batch_end(Trainer(), made, {"memory": memory, "hypotheses": best}, batch, 1)  # type: ignore[arg-type]
    detector.on_validation_epoch_end(Trainer(), made)  # type: ignore[arg-type]


def test_stuck_attention_warns_once_after_some_validations(caplog: pytest.LogCaptureFixture) -> None:
    detector, made = CollapseDetector(), module()
    with caplog.at_level(logging.WARNING):
        validate(detector, made, "a dog", [4, 4], Grid(2, 3))
        assert not caplog.records
        for _ in range(3):
            validate(detector, made, "a dog", [4, 4], Grid(2, 3))
    assert len(caplog.records) == 1
    message = caplog.records[0].getMessage()
    assert "100%" in message
    assert "first" in message
    assert "doubly_stochastic" in message
    assert made.logged == {"val/collapse_cell": 1.0, "val/collapse_repeats": 0.0}


def test_recovering_starts_the_count_anew(caplog: pytest.LogCaptureFixture) -> None:
    detector, made = CollapseDetector(), module()
    for cells in ([4, 4], [0, 3], [4, 4]):
        validate(detector, made, "a dog", cells, Grid(2, 3))
    assert not caplog.records
    validate(detector, made, "a dog", [4, 4], Grid(2, 3))
    assert len(caplog.records) == 1


def test_silence_in_recordings(caplog: pytest.LogCaptureFixture) -> None:
    detector, made = CollapseDetector(patience=1), module()
    validate(detector, made, "a dog", [0, 1], Timeline(1.0))  # the first two of six seconds are silent
    assert [("silence" in r.getMessage(), "ctc" in r.getMessage()) for r in caplog.records] == [(True, True)]
    assert made.logged["val/collapse_quiet"] == 1
    caplog.clear()
    validate(detector, made, "a dog", [2, 5], Timeline(1.0))
    assert not caplog.records


def test_repeated_words(caplog: pytest.LogCaptureFixture) -> None:
    detector, made = CollapseDetector(patience=1), module()
    validate(detector, made, "a dog a dog a dog", [0, 1, 2, 3, 4, 5], Grid(2, 3))
    (record,) = caplog.records
    assert "more than the 0 steps that it has made so far" in record.getMessage()
    assert "scheduled_sampling" not in record.getMessage()
    assert "scheduled_sampling.probability=0.1" in _against_repetition(5000, 0.0)
    assert "scheduled_sampling" not in _against_repetition(5000, 0.25)  # it is on


@pytest.mark.parametrize(("name", "value"), [("cell", 0.0), ("quiet", 1.5), ("patience", 0)])
def test_values_out_of_range_name_their_key(name: str, value: float) -> None:
    node = {"_target_": f"{CollapseDetector.__module__}.CollapseDetector", name: value}
    with pytest.raises(ValueError, match=rf"callbacks.collapse.{name}: {value}; expected "):
        part("callbacks.collapse", node, Callback)


def test_what_every_word_looks_at_is_a_sink(caplog: pytest.LogCaptureFixture) -> None:
    detector, made = CollapseDetector(patience=1), module()
    with caplog.at_level(logging.WARNING):
        validate(detector, made, "a dog runs", [[0, 1], [0, 1], [0, 1]], Grid(2, 3))
    assert made.logged["val/collapse_sink"] == pytest.approx(1)
    assert made.logged["val/collapse_cell"] == pytest.approx(0.5)
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith("100% of all attention lies where every word of a text looks")
    validate(detector, made, "a dog runs", [[0, 1], [2, 3], [4, 5]], Grid(2, 3))
    assert made.logged["val/collapse_sink"] == 0
