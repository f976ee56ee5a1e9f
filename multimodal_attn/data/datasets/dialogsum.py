"""DialogSum (Chen et al. 2021) and SAMSum (Gliwa et al. 2019): dialogues with summaries, a file for each split."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from multimodal_attn.data.datasets.base import Dataset, Entry, Split
from multimodal_attn.data.modalities.text import TextReader
from multimodal_attn.data.reading.tables import read_table
from multimodal_attn.data.reading.text import Normalization
from multimodal_attn.ranges import Count
from multimodal_attn.types import UnreadableError

NAMES: dict[Split, tuple[str, ...]] = {
    "train": ("train.jsonl", "dialogsum.train.jsonl", "train.json"),
    "val": ("val.jsonl", "dev.jsonl", "dialogsum.dev.jsonl", "val.json"),
    "test": ("test.jsonl", "dialogsum.test.jsonl", "test.json"),
}
_TORN = re.compile(r" ' (s|t|d|m|re|ve|ll)\b", re.IGNORECASE)  # "I ' Ve", as many dialogues have it
_SUMMARY = re.compile(r"summar(y\d*|ies)")


class DialogSum(Dataset):
    """Dialogues, one turn after the other, with one or more summaries each.

    Each has an ``id`` or ``fname``, a ``dialogue``, and ``summaries``, or ``summary``, ``summary1``, ... as the corpora
    themselves have them: DialogSum a line each of a jsonl, SAMSum in the list of a json.

    Args:
        split: "train", "val" or "test".
        root: folder of the files.
        max_source_tokens: words of a dialogue that are read; ``cut`` lists those that are longer. None for all.
        source_normalize: of the dialogues; see ``NORMALIZERS``.
        normalize: of the summaries.

    Raises:
        ValueError: if the file is missing or has no usable line.
    """

    def __init__(
        self,
        split: Split,
        root: str | Path,
        max_source_tokens: Count | None = 400,
        source_normalize: Normalization = "spaced",
        normalize: Normalization = "spaced",
    ) -> None:
        folder = Path(root).expanduser()
        path = next((folder / name for name in NAMES[split] if (folder / name).is_file()), None)
        if path is None:
            raise ValueError(f"data.root: '{folder}' has no {' or '.join(NAMES[split])}")
        table = read_table(path, "data.root")
        reader, entries = TextReader(max_source_tokens, source_normalize), []
        skipped = [UnreadableError(f"{path}:{line}", reason) for line, reason in table.bad]
        cut, self._sources = [], []
        for line, record in table.records:
            dialogue = record.get("dialogue")
            source = _whole(dialogue) if isinstance(dialogue, str) else ""
            found = [reader.target(_whole(text), normalize, source) for text in _summaries(record)]
            targets = tuple(target for target in found if target.text)
            if not (targets and reader.read(source)):
                lacking = "dialogue" if targets else "summary"
                skipped.append(UnreadableError(f"{path}:{line}", f"no {lacking}"))
                continue
            if reason := reader.cut(source):
                cut.append(UnreadableError(f"{path}:{line}", reason))
            key = str(record.get("id", record.get("fname", line)))
            entries.append(Entry(key, targets, reader.length(source)))
            self._sources.append(source)
        if not entries:
            raise ValueError(f"data.root: '{path}' has no usable line; expected a dialogue and its summaries in each")
        super().__init__(reader, entries, skipped)
        self.cut = cut

    def read(self, index: int) -> Any:
        return self.reader.read(self._sources[index])


def _summaries(record: dict[str, Any]) -> list[str]:
    found: list[Any] = []
    for name, value in record.items():
        if _SUMMARY.fullmatch(name):
            found += value if isinstance(value, list) else [value]
    return [text for text in found if isinstance(text, str)]


def _whole(text: str) -> str:
    return _TORN.sub(r"'\1", text)
