from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from multimodal_attn.training.callbacks.moving_average import MovingAverage


class Module(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.register_buffer("table", torch.rand(1000))
        self.register_buffer("steps", torch.tensor(0))


def average_after(values: Sequence[float], decay: float) -> tuple[Tensor, Module, Module]:
    """The average after steps that set the weight to these values, and the modules: averaged and current."""
    callback: Any = MovingAverage(decay)
    module = Module()
    callback.setup(None, module, "fit")
    for step, value in enumerate(values):
        nn.init.constant_(module.weight, value)
        module.steps.fill_(step)
        callback._average_model.update_parameters(module)
    averaged = callback._average_model.module
    return averaged.weight.detach(), averaged, module


def test_a_short_run_forgets_the_weights_that_it_began_with() -> None:
    average, _, _ = average_after([0.0] + [1.0] * 374, decay=0.998)
    assert average.min() > 0.999999  # by the decay alone: 0.53


def test_a_long_run_averages_by_its_decay() -> None:
    decay = 0.9
    values = torch.randn(300).tolist()
    expected = values[0]
    for step, value in enumerate(values[1:], 1):
        kept = min(decay, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * value
    average, _, _ = average_after(values, decay)
    assert torch.allclose(average, torch.full((2,), expected), atol=1e-6)
    last = sum((1 - decay) * decay**back * value for back, value in enumerate(reversed(values)))
    assert torch.allclose(average, torch.full((2,), last), atol=1e-4)


def test_tables_stay_exact_and_counters_go_along() -> None:
    _, averaged, module = average_after([1.0] * 50, decay=0.99)
    assert torch.equal(averaged.table, module.table)
    assert averaged.steps == 49
