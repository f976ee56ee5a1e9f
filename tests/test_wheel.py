"""The wheel in an environment of its own, outside of any checkout: it trains, evaluates, predicts and writes shards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(1200)]

ATTENTION = '''
"""An attention of the user's own: cosine similarity."""

import torch

from multimodal_attn.models.attention.base import Attention, AttentionStep
from multimodal_attn.types import Memory


class CosineAttention(Attention):
    def __init__(self, query_dim: int, memory_dim: int) -> None:
        super().__init__()
        self.query = torch.nn.Linear(query_dim, memory_dim)

    def project(self, memory: Memory) -> tuple[torch.Tensor, ...]:
        return (torch.nn.functional.normalize(memory.states, dim=-1),)

    def forward(self, query, projected, memory, state):
        scores = 10 * torch.nn.functional.normalize(self.query(query), dim=-1) @ projected[0].transpose(1, 2)
        weights = scores.masked_fill(~memory.mask[:, None], -torch.inf).softmax(-1)
        return AttentionStep(weights @ memory.states, weights[:, :, None], None)
'''
TINY = [
    "data.num_examples={train:64,val:8,test:8}",
    "data.batch_size=8",
    "trainer.max_steps=20",
    "decoder.hidden_dim=32",
]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> tuple[Path, Path]:
    """The folder of a new environment's programs, and a folder to work in; the wheel is installed with its pins."""
    folder = tmp_path_factory.mktemp("wheel")
    quiet = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    build = [*quiet, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder / "dist"), str(repository)]
    subprocess.run(build, check=True, timeout=300)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True, timeout=300)
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    (wheel,) = (folder / "dist").glob("*.whl")
    install = [str(programs / "python"), "-m", "pip", "--disable-pip-version-check", "-q", "install"]
    pins = ["-c", str(repository / "constraints.txt")]
    subprocess.run([*install, *pins, "pip"], check=True, timeout=300)  # the pinned one resumes broken downloads
    subprocess.run([*install, *pins, str(wheel), "webdataset"], check=True, timeout=900)
    work = folder / "work"
    (work / "mypkg").mkdir(parents=True)
    (work / "mypkg" / "__init__.py").write_text("")
    (work / "mypkg" / "att.py").write_text(ATTENTION)
    return programs, work


def command(outside: tuple[Path, Path], *arguments: str, status: int = 0) -> str:
    programs, work = outside
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        [str(programs / "multimodal-attn"), *arguments], cwd=work, capture_output=True, text=True, env=environment
    )
    assert result.returncode == status, result.stdout[-2000:] + result.stderr[-4000:]
    return result.stdout if status == 0 else result.stderr


def test_train_evaluate_and_predict(outside: tuple[Path, Path]) -> None:
    work = outside[1]
    command(outside, "train", *TINY, "hydra.run.dir=run")
    command(outside, "evaluate", "run=run")
    assert "cider_d" in json.loads((work / "run/evaluation/val/metrics.json").read_text())
    make = "from PIL import Image; Image.new('RGB', (90, 60), 'red').save('photo.png')"
    subprocess.run([str(outside[0] / "python"), "-c", make], cwd=work, check=True)
    found = json.loads(command(outside, "predict", "run", "photo.png", "--json"))
    assert found["key"] == "photo.png"
    assert isinstance(found["text"], str)


def test_shards(outside: tuple[Path, Path]) -> None:
    command(outside, "shards", TINY[0], "--output", "shards", "--splits", "train,val")
    command(outside, "train", "data=shards", "data.root=shards", *TINY[1:], "hydra.run.dir=from_shards")


def test_a_class_of_the_users_own(outside: tuple[Path, Path]) -> None:
    command(outside, "train", *TINY, "attention=mypkg.att.CosineAttention", "hydra.run.dir=cosine")
    refused = command(outside, "predict", "cosine", "photo.png", status=2)
    assert "trust=[mypkg]" in refused
    assert command(outside, "predict", "cosine", "photo.png", "--trust", "mypkg").startswith("photo.png\t")
    command(outside, "evaluate", "run=cosine", "trust=[mypkg]")
