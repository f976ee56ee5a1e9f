from __future__ import annotations

import signal
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytorch_lightning.utilities.exceptions import SIGTERMException

from multimodal_attn.training.callbacks.save_on_exception import SaveOnException


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_while_processes_agree_is_not_lost(number: signal.Signals) -> None:
    callback, calls = SaveOnException("last.ckpt", "run"), []

    def reduce(asked: torch.Tensor, reduce_op: str) -> torch.Tensor:
        calls.append(int(asked))
        if len(calls) == 1:
            callback._receive(number, None)  # this process waits for the other one
        return asked

    strategy = SimpleNamespace(reduce=reduce, root_device=torch.device("cpu"))
    trainer: Any = SimpleNamespace(world_size=2, strategy=strategy)
    callback.on_train_batch_start(trainer, None, None, 0)  # type: ignore[arg-type]
    with pytest.raises(SIGTERMException):
        callback.on_train_batch_start(trainer, None, None, 1)  # type: ignore[arg-type]
    assert calls == [0, number]
    assert callback.received is number
