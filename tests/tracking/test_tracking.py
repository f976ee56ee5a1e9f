from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import soundfile
from PIL import Image
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from pytorch_lightning.loggers.logger import DummyLogger

from multimodal_attn import tracking
from multimodal_attn.inspection.views.base import Sound
from multimodal_attn.tracking.files import FileLogger

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 100, 3), dtype=np.uint8))


def log_everything(loggers: list[Logger], folder: Path, step: int, key: str = "val/attention") -> None:
    page = folder / "page.html"
    page.write_text("<!doctype html><p>é</p>", encoding="utf-8")
    tracking.log_picture(loggers, f"{key}/picture", PICTURE, step)
    tracking.log_page(loggers, f"{key}/page", page, step)
    tracking.log_table(loggers, f"{key}/table", ["word", "wer"], [["a|b", 0.5], ["é\n", 1]], step)
    cells = [PICTURE, Sound(np.zeros(800, dtype=np.float32), 16_000), "a dog"]
    tracking.log_table(loggers, f"{key}/examples", ["picture", "sound", "text"], [cells], step)
    tracking.log_audio(loggers, f"{key}/audio", np.zeros(800, dtype=np.float32), 16_000, step)


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_metrics_are_a_line_each(tmp_path: Path):
    logger = FileLogger(str(tmp_path / "run"))
    logger.log_metrics({"loss": 0.5, "epoch": 0.0}, 10)
    FileLogger(str(tmp_path / "run")).log_metrics({"loss": np.float32(0.25)}, 20)
    assert lines(tmp_path / "run") == [{"step": 10, "loss": 0.5, "epoch": 0}, {"step": 20, "loss": 0.25}]


def test_a_line_is_json_whatever_the_loss(tmp_path: Path):
    logger = FileLogger(str(tmp_path))
    logger.log_metrics({"loss": float("nan"), "norm": float("inf")}, 1)
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()
    assert lines(tmp_path) == [{"step": 1, "loss": None, "norm": None}]


def test_half_a_line_of_a_killed_run_swallows_no_other(tmp_path: Path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "lo')
    FileLogger(str(tmp_path)).log_metrics({"loss": 0.5}, 2)
    assert (tmp_path / "metrics.jsonl").read_text().splitlines() == ['{"step": 1, "lo', '{"step": 2, "loss": 0.5}']


def test_trainer_writes_through_the_file_logger(tmp_path: Path):
    class Model(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            import torch

            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch, index):
            loss = self.layer(batch).mean()
            self.log("train/loss", loss)
            return loss

        def configure_optimizers(self):
            import torch

            return torch.optim.SGD(self.parameters(), lr=0.1)

        def train_dataloader(self):
            import torch

            return torch.utils.data.DataLoader(torch.ones(4, 1))

    trainer = pl.Trainer(
        logger=FileLogger(str(tmp_path)),
        max_epochs=1,
        log_every_n_steps=2,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        accelerator="cpu",
    )
    trainer.fit(Model())
    assert [(line["step"], line["epoch"]) for line in lines(tmp_path)] == [(1, 0), (3, 0)]


def test_media_of_plain_files(tmp_path: Path):
    log_everything([FileLogger(str(tmp_path / "run"))], tmp_path, 123)
    media = tmp_path / "run" / "media" / "val" / "attention"
    assert Image.open(media / "picture" / "step_000123.png").tobytes() == PICTURE.tobytes()
    assert "é" in (media / "page" / "step_000123.html").read_text(encoding="utf-8")
    rows = (media / "table" / "step_000123.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(rows[1]) == {"word": "é\n", "wer": 1}
    assert soundfile.info(media / "audio" / "step_000123.flac").frames == 800
    examples = media / "examples"
    (row,) = (examples / "step_000123.jsonl").read_text().splitlines()
    key = "val/attention/examples"
    assert json.loads(row) == {"picture": f"{key}/picture/0", "sound": f"{key}/sound/0", "text": "a dog"}
    assert Image.open(examples / "picture" / "0" / "step_000123.png").tobytes() == PICTURE.tobytes()
    assert soundfile.info(examples / "sound" / "0" / "step_000123.flac").samplerate == 16_000


@pytest.mark.parametrize("key", ["../../out", "/etc/out", "a/../../../out", "..", "x:y?é/out"])
def test_no_key_leads_out_of_the_folder(tmp_path: Path, key: str):
    tracking.log_picture([FileLogger(str(tmp_path / "run"))], key, PICTURE, 1)
    (written,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert written.is_relative_to(tmp_path / "run" / "media")


def test_media_of_tensorboard(tmp_path: Path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    logger = TensorBoardLogger(str(tmp_path), name="")
    log_everything([logger], tmp_path, 7)
    logger.experiment.flush()
    events = accumulator.EventAccumulator(logger.log_dir, {"tensors": 0, "images": 0, "audio": 0}).Reload()
    (image,) = events.Images("val/attention/picture")
    assert (image.step, image.width, image.height) == (7, 100, 50)
    (table,) = events.Tensors("val/attention/table/text_summary")
    text = table.tensor_proto.string_val[0].decode()
    assert text.splitlines() == ["|word|wer|", "|---|---|", "|a\\|b|0.5|", "|é|1|"]
    (page,) = events.Tensors("val/attention/page/text_summary")
    assert page.tensor_proto.string_val[0].decode() == str(tmp_path / "page.html")
    assert events.Audio("val/attention/audio")[0].sample_rate == 16_000


def test_media_of_wandb_offline_in_any_order_of_steps(tmp_path: Path):
    pytest.importorskip("wandb")
    logger = WandbLogger(save_dir=str(tmp_path), offline=True)
    try:
        logger.log_metrics({"loss": 0.5}, 500)
        # A media step may lie behind the last one of the metrics: W&B would drop it if it were given as its own step.
        log_everything([logger], tmp_path, 400)
        summary = dict(logger.experiment.summary)
        assert summary["trainer/global_step"] == 400
        kinds = {name: summary[f"val/attention/{name}"]["_type"] for name in ("picture", "page", "table", "audio")}
        # The file that was given is gone by now; W&B has taken its own.
        (kept,) = tmp_path.rglob("*.png")  # the table's and the other are one file
        assert Image.open(kept).tobytes() == PICTURE.tobytes()
        (file,) = tmp_path.rglob("examples*.table.json")
        assert json.loads(file.read_text())["data"] == [["Image", "Audio", "a dog"]]
        assert kinds == {"picture": "image-file", "page": "html-file", "table": "table-file", "audio": "audio-file"}
    finally:
        logger.experiment.finish()


def test_unknown_loggers_are_left_out_and_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tracking, "_without_media", set())
    loggers = [CSVLogger(str(tmp_path)), DummyLogger(), FileLogger(str(tmp_path / "run"))]
    with caplog.at_level(logging.WARNING):
        log_everything(loggers, tmp_path, 1)
    assert [record.getMessage().split()[0] for record in caplog.records] == ["CSVLogger"]
    assert len(list((tmp_path / "run").rglob("step_000001.*"))) == 7


@pytest.mark.parametrize("log", [tracking.log_picture, tracking.log_page, tracking.log_table, tracking.log_audio])
def test_other_processes_log_nothing(log: Callable[..., None], monkeypatch: pytest.MonkeyPatch):
    from pytorch_lightning.utilities import rank_zero_only

    monkeypatch.setattr(rank_zero_only, "rank", 1)
    arguments: dict[str, object] = {name: None for name in log.__wrapped__.__annotations__ if name != "return"}  # type: ignore[attr-defined]
    assert log(**arguments) is None  # would fail on the loggers, which are None
