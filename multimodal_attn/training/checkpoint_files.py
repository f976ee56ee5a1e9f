"""How checkpoints are written and read: whole, or not at all, and wherever their folder is now."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from multimodal_attn.writing import write_file

_FILES = {"best_model_path", "kth_best_model_path", "last_model_path"}
"""Of the state of Lightning's ModelCheckpoint."""


class CheckpointFiles(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it; a full disk or a kill leaves the one that was there.

    Lightning's own writes it below ``/tmp`` and moves it, which is a copy where that is another file system.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_file(path, content.getbuffer())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = lambda storage, _: storage, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads one whose run may have been moved: Lightning forgets how good the best checkpoint is if its folder has
        another name, and would put a worse one in its place."""
        checkpoint: dict[str, Any] = super().load_checkpoint(path, map_location, weights_only)
        folder = Path(os.path.realpath(Path(path).parent))
        for state in checkpoint.get("callbacks", {}).values():
            if isinstance(state, dict) and Path(str(state.get("dirpath", ""))).name == folder.name == "checkpoints":
                state["dirpath"] = str(folder)
                for key in _FILES & state.keys():
                    state[key] = _inside(folder, state[key])
                if "best_k_models" in state:
                    state["best_k_models"] = {_inside(folder, p): score for p, score in state["best_k_models"].items()}
        return checkpoint


def _inside(folder: Path, path: str) -> str:
    return str(folder / Path(path).name) if path else path
