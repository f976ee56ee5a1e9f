"""Where the checkpoints of a run lie."""

from __future__ import annotations

from pathlib import Path


def find_checkpoint(run: str | Path, prefer: str = "best", key: str = "run") -> Path:
    """The checkpoint file of a run's folder, or ``run`` itself if it is a file.

    Args:
        run: folder or file.
        prefer: "best" or "last"; the other one is taken where it is missing.
        key: names the setting in errors.

    Raises:
        ValueError: if there is none.
    """
    return checkpoints(run, prefer, key)[0]


def checkpoints(run: str | Path, prefer: str = "best", key: str = "run") -> list[Path]:
    """Those of a run's folder, the preferred one first; arguments and errors as of ``find_checkpoint``."""
    folder = Path(run)
    if folder.is_file():
        return [folder]
    other = "last" if prefer == "best" else "best"
    names = (f"checkpoints/{prefer}.ckpt", f"checkpoints/{other}.ckpt", "model.safetensors")
    if found := [folder / name for name in names if (folder / name).is_file()]:
        return found
    raise ValueError(
        f"{key}: '{run}' has no checkpoints/best.ckpt, checkpoints/last.ckpt or model.safetensors; expected the folder"
        " of a trained run"
    )


def folder_of(checkpoint: Path) -> Path:
    """The folder of the run that a checkpoint file belongs to."""
    return checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint.parent
