"""What is kept in the cache folder between runs: shown and emptied from the command line."""

from __future__ import annotations

import os
import time
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from multimodal_attn.data.reading.cache import cache_entries, empty_cache
from multimodal_attn.parts import checked
from multimodal_attn.ranges import NotNegative


def default_folder() -> Path:
    """Where runs keep features and built corpora unless ``cache_dir=`` says otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "multimodal_attn"


def cache(folder: Path | None, empty: bool = False, older_than_days: float | None = None) -> int:
    """Prints what a cache folder holds, or deletes it.

    Args:
        folder: of the cache; None for the usual one.
        empty: delete what is listed.
        older_than_days: only what has not been used for so long.

    Returns:
        The exit status.
    """
    checked("--older-than", older_than_days, NotNegative | None)
    if older_than_days is not None and not empty:
        raise ValueError("--older-than: given without --empty; expected both, or neither")
    if folder is not None and folder.exists() and not folder.is_dir():
        raise ValueError(f"--folder: '{folder}' is a file; expected the folder of a cache")
    folder = folder or default_folder()
    if empty:
        gone = empty_cache(folder, older_than_days)
        print(f"{folder}: {sum(entry.size for entry in gone) / 1e9:.2f} GB deleted, entries: {len(gone)}")
        return 0
    table = Table("size", "last used", "what", "folder", box=box.SIMPLE)
    entries = cache_entries(folder)
    for entry in entries:
        days = (time.time() - entry.used) / 86_400
        table.add_row(f"{entry.size / 1e9:.2f} GB", f"{days:.0f} days ago", entry.description, entry.path.name)
    console = Console()
    if entries:
        console.print(table)
    total = sum(entry.size for entry in entries) / 1e9
    console.print(f"{folder}: {total:.2f} GB, entries: {len(entries)}", soft_wrap=True, highlight=False, markup=False)
    return 0
