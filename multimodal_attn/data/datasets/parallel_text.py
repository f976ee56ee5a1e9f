"""Translations: two text files for each split, line n of one the translation of line n of the other."""

from __future__ import annotations

from pathlib import Path

from multimodal_attn.data.datasets.base import Dataset, Entry, LazyEntries, Split
from multimodal_attn.data.modalities.text import TextReader
from multimodal_attn.data.reading.text import NORMALIZERS, Normalization, listed_lines, single_spaces
from multimodal_attn.ranges import Count
from multimodal_attn.types import Target, UnreadableError

STEMS: dict[Split, tuple[str, ...]] = {"train": ("train",), "val": ("val", "valid", "dev"), "test": ("test",)}
"""What corpora call the files of a split, before ``.de`` and ``.en``."""


class ParallelText(Dataset):
    """A corpus in the layout of Moses, OPUS and Multi30k: ``train.de``, ``train.en``, ``val.de``, ``val.en``, ...

    Pairs with an empty side are left out and listed, and in training so are those with a side that is too long. Unless
    they are normalized, texts keep their case and punctuation, as BLEU counts both; runs of white space become single
    spaces.

    Args:
        split: "train", "val" or "test".
        root: folder of the files.
        source_language: ending of the files to read.
        target_language: ending of the files with what is to be written.
        max_words: on either side of a pair that is trained on.
        max_source_tokens: words of a source that are read, in any split; ``cut`` lists longer ones. None for all.
        source_normalize, normalize: how the texts of either side are normalized, "none", "spaced", "caption" or
            "transcript".

    Raises:
        ValueError: if a file is missing, is not UTF-8, or the two have different numbers of lines.
    """

    def __init__(
        self,
        split: Split,
        root: str | Path,
        source_language: str,
        target_language: str,
        max_words: Count = 100,
        max_source_tokens: Count | None = None,
        source_normalize: Normalization = "none",
        normalize: Normalization = "none",
    ) -> None:
        if source_language == target_language:
            raise ValueError(f"data.target_language: {target_language!r}; expected another than data.source_language")
        path, target_path = _find(Path(root).expanduser(), split, source_language, target_language)
        sources, targets = (
            [single_spaces(line) for line in listed_lines(file, "data.root", "UTF-8 text with one sentence per line")]
            for file in (path, target_path)
        )
        if len(sources) != len(targets):
            raise ValueError(
                f"data.root: '{path}' has {len(sources)} lines and '{target_path.name}' {len(targets)}; expected"
                " as many lines in both"
            )
        limit = max_words if split == "train" else None
        reader, self._normalize = TextReader(max_source_tokens, source_normalize), normalize
        skipped: list[UnreadableError] = []
        cut: list[UnreadableError] = []
        self._pairs: list[tuple[str, str, str]] = []  # key, source, target
        for number, (source, target) in enumerate(zip(sources, targets, strict=True), start=1):
            if reason := _unusable(reader.read(source), NORMALIZERS[normalize](target), limit):
                skipped.append(UnreadableError(f"{path}:{number}", reason))
            else:
                if reason := reader.cut(source):
                    cut.append(UnreadableError(f"{path}:{number}", reason))
                self._pairs.append((f"{path.stem}:{number}", source, target))
        super().__init__(reader, LazyEntries(len(self._pairs), self._entry), skipped)
        self.cut = cut

    def _entry(self, index: int) -> Entry:
        key, source, target = self._pairs[index]
        # Names are looked for where their capitals are about to vanish, and not in translations, where few are kept.
        written = Target(target) if self._normalize == "none" else self.reader.target(target, self._normalize, source)
        return Entry(key, (written,), self.reader.length(source))

    def read(self, index: int) -> str:
        return str(self.reader.read(self._pairs[index][1]))

    # Without an entry for each: a corpus may have millions of pairs.

    def texts(self) -> list[str]:
        return [NORMALIZERS[self._normalize](target) for _, _, target in self._pairs]

    def lengths(self) -> list[float]:
        return [self.reader.length(source) for _, source, _ in self._pairs]


def _find(folder: Path, split: Split, source_language: str, target_language: str) -> tuple[Path, Path]:
    """The two files, both of one name."""
    for stem in STEMS[split]:
        paths = folder / f"{stem}.{source_language}", folder / f"{stem}.{target_language}"
        if all(path.is_file() for path in paths):
            return paths
    names = " or ".join(f"{stem}.{source_language} and {stem}.{target_language}" for stem in STEMS[split])
    raise ValueError(f"data.root: '{folder}' has no {names}; expected one sentence per line in each")


def _unusable(source: str, target: str, max_words: int | None) -> str:
    if not source or not target:
        return "one side is empty"
    words = max(len(source.split()), len(target.split()))
    return f"{words} words, more than data.max_words={max_words}" if max_words and words > max_words else ""
