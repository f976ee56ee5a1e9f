"""Training, evaluating and predicting as processes: Ctrl-C, going on, and errors that a person can read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from PIL import Image

from multimodal_attn.runs import configuration
from tests.commands.process import ROOT, forked, python
from tests.runs.tiny import SHAPES


def test_interrupt_resume_evaluate_predict(tmp_path: Path) -> None:
    run = tmp_path / "run"
    overrides = [*SHAPES, f"hydra.run.dir={run}", f"cache_dir={tmp_path}", "trainer.max_epochs=500"]
    process = subprocess.Popen(
        [sys.executable, "train.py", *overrides],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell that runs the tests in the background lets its children ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not (run / "metrics.jsonl").is_file() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert "python train.py resume=" in output, output
    assert "Traceback" not in output
    stopped = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert stopped["global_step"] > 0

    epochs, begun = stopped["epoch"] + 2, (run / ".hydra" / "overrides.yaml").read_text()
    resumed = python("train.py", f"resume={run}", f"trainer.max_epochs={epochs}")
    assert resumed.returncode == 0, resumed.stderr
    done = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert done["global_step"] == epochs * 8
    assert (run / ".hydra" / "overrides.yaml").read_text() == begun

    evaluated = forked("evaluate", f"run={run}", "split=test", "search=beam", "search.width=2")
    assert evaluated.returncode == 0, evaluated.stderr
    assert (run / "evaluation" / "test_beam_width=2" / "index.html").is_file()

    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("CMYK", (90, 30), (0, 200, 0, 0)).save(photos / "wide.jpg")
    (photos / "torn.jpg").write_bytes((photos / "wide.jpg").read_bytes()[:200])
    predicted = forked("predict", str(run), str(photos), "--page", "--page-path", str(tmp_path / "page.html"))
    assert predicted.returncode == 0, predicted.stderr
    assert "wide.jpg\t" in predicted.stdout
    assert "skipped" in predicted.stderr
    assert "torn.jpg" in predicted.stderr
    assert (tmp_path / "page.html").is_file()


def test_help_offers_data_that_can_be_chosen() -> None:
    text = forked("train", "--help").stdout
    (offered,) = [line.removeprefix("data: ").split(", ") for line in text.splitlines() if line.startswith("data: ")]
    assert {"shapes", "spoken", "manifest"} <= set(offered)
    for name in offered:
        assert "_target_" in configuration.compose("train", [f"data={name}"]).data, name


def test_errors_are_for_people(tmp_path: Path) -> None:
    cases = [
        (["evaluate", f"run={tmp_path}"], "expected the folder of a trained run"),
        (["train", "data=flickr8k", f"data.root={tmp_path}", f"hydra.run.dir={tmp_path / 'a'}"], "data.root"),
        (["train", "data=manifest", "data.train=nowhere.csv", f"hydra.run.dir={tmp_path / 'b'}"], "nowhere.csv"),
        (["train", "attention.attention_dims=3"], "attention_dims"),
        (["train", f"resume={tmp_path}", f"hydra.run.dir={tmp_path / 'c'}"], "expected the folder of a trained run"),
        (["predict", str(tmp_path), "x.jpg"], "expected the folder of a trained run"),
        (
            ["train", "experiment=captoins"],
            "error: experiment=captoins: there is no such choice; did you mean captions?",
        ),
    ]
    for arguments, expected in cases:
        result = forked(*arguments, prepare=lambda: os.environ.update(HYDRA_FULL_ERROR="0"))
        assert result.returncode != 0, arguments
        assert expected in result.stderr, (arguments, result.stderr)
        assert "Traceback" not in result.stderr, result.stderr
        assert not list(tmp_path.iterdir()), arguments
