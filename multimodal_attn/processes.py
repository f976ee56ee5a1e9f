"""Processes that torchrun has started to share an evaluation or a prediction."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed.nn  # its functions keep the group that they are imported under: see joined
from torch import distributed


@contextmanager
def joined() -> Iterator[None]:
    """Brings the processes of torchrun together for a while; does nothing in a process that is alone."""
    if not distributed.is_torchelastic_launched():
        yield
        return
    # Nothing but results is exchanged, so that gloo does on GPUs as well. One process may wait long for another's
    # recordings; where one dies, torchrun ends the others. What still held the group at the end (torch.distributed.nn
    # would in default arguments, if it were imported after this line) would hold its threads too, and a thread that
    # frees a tensor while Python ends aborts the process (pytorch issues 38228 and 190489).
    distributed.init_process_group("gloo", timeout=timedelta(days=7))
    try:
        yield
    finally:
        distributed.destroy_process_group()


def own_device() -> str:
    """A GPU for each process of a machine if there are any, else the CPU."""
    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()}"
