from __future__ import annotations

from typing import Any

import pytest

from multimodal_attn.training.callbacks import step_cost
from multimodal_attn.training.callbacks.step_cost import StepCost


class Module:
    device = "cpu"

    def __init__(self) -> None:
        self.logged: dict[str, float] = {}

    def log(self, name: str, value: float) -> None:
        self.logged[name] = value


def test_the_median_of_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    # Start and end of each step; loading between them does not count.
    clock = iter([0.0, 9.0, 10.0, 10.5, 20.0, 20.25, 100.0, 101.0])
    monkeypatch.setattr(step_cost.time, "perf_counter", lambda: next(clock))
    callback: Any = StepCost()
    module = Module()
    callback.on_train_epoch_start(None, module)
    callback.on_train_epoch_end(None, module)
    assert module.logged == {}
    for _ in range(3):
        callback.on_train_batch_start(None, module, None, 0)
        callback.on_train_batch_end(None, module, None, None, 0)
    callback.on_train_epoch_end(None, module)
    assert module.logged["train/step_seconds"] == 0.5
    assert 50 < module.logged["train/peak_memory_mb"] < 100_000
    callback.on_train_epoch_start(None, module)  # a new epoch forgets the old one
    callback.on_train_batch_start(None, module, None, 0)
    callback.on_train_batch_end(None, module, None, None, 0)
    callback.on_train_epoch_end(None, module)
    assert module.logged["train/step_seconds"] == 1.0
