from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from multimodal_attn.data.modalities.picture import PictureReader
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.training.callbacks import attention_maps
from multimodal_attn.training.callbacks.attention_maps import AttentionMaps
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.types import Example, Grid, Hypothesis, Memory
from tests.data.listed import Listed

TOKENIZER = WordTokenizer().fit(["a dog runs"])
PREDICTOR = Predictor(torch.nn.Identity(), TOKENIZER, None, PictureReader(4))  # type: ignore[arg-type]
MODULE: Any = Seq2SeqModule(PREDICTOR, {}, None, None)  # type: ignore[arg-type]
SOURCE = Listed([Example(key, torch.zeros(3, 4, 4, dtype=torch.uint8)) for key in "abcdef"])


def trainer_at(epoch: int, step: int = 0, **metrics: float) -> Any:
    return SimpleNamespace(
        sanity_checking=False,
        current_epoch=epoch,
        global_step=step,
        loggers=[],
        datamodule=SimpleNamespace(source=lambda split: SOURCE),
        callback_metrics={f"val/{name}": torch.tensor(value) for name, value in metrics.items()} | {"train/loss": 9},
    )


def written(key: str) -> Hypothesis:
    tokens = TOKENIZER.encode({"a": "dog", "c": "runs", "e": "a dog"}.get(key, ""))
    return Hypothesis(tokens, 0.0, torch.zeros(len(tokens)), torch.tensor([0.5, 0.5, 0.0]).expand(len(tokens), 1, 3))


def validate(maps: AttentionMaps, trainer: Any, keys: str) -> None:
    """What Lightning calls, with all of ``keys`` in one batch."""
    batch = SimpleNamespace(keys=list(keys))
    mask = torch.tensor([True, True, False]).expand(len(keys), -1)
    memory = Memory(torch.zeros(len(keys), 3, 1), mask, Grid(1, 2))
    maps.on_validation_epoch_start(trainer, MODULE)
    outputs = {"memory": memory, "hypotheses": [written(key) for key in keys]}
    maps.on_validation_batch_end(trainer, MODULE, outputs, batch, 0)  # type: ignore[arg-type]
    maps.on_validation_epoch_end(trainer, MODULE)
    maps.on_validation_end(trainer, MODULE)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Prediction]:
    """The records that are drawn; ``predict`` writes nothing for any example."""
    found: list[Prediction] = []
    view_of = lambda record: SimpleNamespace(draw=lambda limit: found.append(record))  # noqa: E731
    monkeypatch.setattr(attention_maps, "view_of", view_of)
    monkeypatch.setattr(attention_maps.tracking, "log_picture", lambda *arguments: None)
    monkeypatch.setattr(PREDICTOR, "predict", predict)
    return found


def predict(examples: Sequence[Example]) -> list[Prediction]:
    empty = Hypothesis([], 0.0, torch.zeros(0), torch.zeros(0, 1, 2))
    return [Prediction.from_hypothesis(example, empty, TOKENIZER, Grid(1, 2), 2) for example in examples]


def test_pictures_show_what_validation_has_decoded(drawn: list[Prediction], tmp_path: Path) -> None:
    validate(AttentionMaps(str(tmp_path), num_examples=3), trainer_at(0), "fedcba")
    assert [(record.key, record.text) for record in drawn] == [("a", "dog"), ("c", "runs"), ("e", "a dog")]
    assert drawn[2].weights.shape == (2, 1, 2)  # without padding


def test_what_this_process_has_not_met_is_decoded(drawn: list[Prediction], tmp_path: Path) -> None:
    maps = AttentionMaps(str(tmp_path), num_examples=3)
    validate(maps, trainer_at(0), "abc")
    assert [(record.key, record.text) for record in drawn] == [("a", "dog"), ("c", "runs"), ("e", "")]
    drawn.clear()
    validate(maps, trainer_at(1), "c")  # nothing is left of the validation before
    assert [record.text for record in drawn] == ["", "runs", ""]


def test_other_epochs_and_the_sanity_check_draw_nothing(drawn: list[Prediction], tmp_path: Path) -> None:
    maps = AttentionMaps(str(tmp_path), num_examples=3, every_n_epochs=2)
    validate(maps, trainer_at(1), "abcdef")
    checking = trainer_at(0)
    checking.sanity_checking = True
    validate(maps, checking, "abcdef")
    assert drawn == []
    validate(maps, trainer_at(2), "abcdef")
    assert len(drawn) == 3


def test_page_has_the_figures_of_these_weights_alone(
    drawn: list[Prediction], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Mapping[str, float] | None] = []
    monkeypatch.setattr(attention_maps, "write_page", lambda *arguments, total: figures.append(arguments[3]))
    monkeypatch.setattr(attention_maps.tracking, "log_page", lambda *arguments: None)
    monkeypatch.setattr(attention_maps, "example_table", lambda records, limit: (["key"], [[r.key] for r in records]))
    maps = AttentionMaps(str(tmp_path))
    maps.on_fit_end(trainer_at(0, step=0, wer=0.25), MODULE)  # never validated
    validate(maps, trainer_at(0, step=5), "abcdef")
    maps.on_fit_end(trainer_at(0, step=5, wer=0.25), MODULE)
    maps.on_fit_end(trainer_at(0, step=7, wer=0.25), MODULE)  # trained on since
    assert figures == [None, {"wer": 0.25}, None]
