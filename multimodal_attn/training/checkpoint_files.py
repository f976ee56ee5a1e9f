"""How checkpoints are written: whole, or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from multimodal_attn.writing import write_file


class CheckpointFiles(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it; a full disk or a kill leaves the one that was there.

    Lightning's own writes it below ``/tmp`` and moves it, which is a copy where that is another file system.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_file(path, content.getbuffer())
