"""What is kept in the cache folder between runs: shown and emptied from the command line."""

from __future__ import annotations

import os
import time
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

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
        print(f"{folder}: {_size(sum(entry.size for entry in gone))} deleted, entries: {len(gone)}")
        return 0
    names = [Column(name, overflow="fold") for name in ("encoder", "data", "folder")]
    table = Table("size", "last used", "sources", *names, box=box.SIMPLE)
    entries = cache_entries(folder)
    for entry in entries:
        days = round((time.time() - entry.used) / 86_400)
        used = "today" if days <= 0 else "yesterday" if days == 1 else f"{days} days ago"
        what = (f"{entry.sources:,}", entry.encoder or "-", entry.data or "-", entry.path.name)
        table.add_row(*map(Text, (_size(entry.size), used, *what)))
    console = Console()
    if entries:
        console.print(table)
    total = _size(sum(entry.size for entry in entries))
    console.print(f"{folder}: {total}, entries: {len(entries)}", soft_wrap=True, highlight=False, markup=False)
    return 0


def _size(size: int) -> str:
    """Bytes in the unit that makes the number short."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"
