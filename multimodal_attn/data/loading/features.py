"""Frozen encoders read each source once and not once an epoch: what they make of it comes from a cache on disk."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from multimodal_attn.data.datasets.base import Dataset
from multimodal_attn.data.loading.feature_cache import MISSING, FeatureCache
from multimodal_attn.data.reading.cache import mark_used
from multimodal_attn.data.reading.files import digest
from multimodal_attn.types import Example, UnreadableError


@dataclass(frozen=True)
class FrozenEncoder:
    """What a cache needs to know of an encoder.

    Attributes:
        fingerprint: everything that its output depends on but the source: architecture, weights, normalization.
        extract: sources, several at once, to their features, (S, width) each.
        name: what people call it.
    """

    fingerprint: str
    extract: Callable[[list[Tensor]], list[Tensor]]
    name: str = ""


@dataclass(frozen=True)
class Distortion:
    """How versions of a source are made that differ from the source as it is.

    Attributes:
        fingerprint: everything that a version depends on but the source and the seed.
        distort: a source and a seed to another version of the source; the same seed gives the same version.
    """

    fingerprint: str
    distort: Callable[[Tensor, int], Tensor]


class CachedFeatures(Dataset):
    """A data set whose sources are the output of frozen encoders, computed once and read from disk.

    Construction computes what the caches lack. Processes that do so at the same time share the work. Sources that
    cannot be read are left out and listed. Each encoder has a cache of its own, which serves every run with it.

    Sources are told apart by the data set's ``fingerprint``, so that one of which everything is cached is used without
    decoding anything. Where there is none, construction looks at each source and tells by its content.

    Args:
        dataset: of pictures of one size, or of recordings.
        encoders: each of them reads every source.
        cache_dir: folder of all caches.
        versions: of each source; the first is the source as it is. An epoch of training draws one of them.
        distortion: makes the others; may be None where there is one version.
        keep_sources: give the sources beside their features, for measures that look at them.
        data_name: what people call the data.
        batch_size: sources that are encoded together.
        num_workers: processes that decode sources while the cache is filled.

    Attributes:
        folders: of the caches.
        skipped: what the wrapped data set had to leave out, and sources that cannot be read.

    Shapes:
        ``features`` of an example: (S, width) float16 for each encoder.

    Raises:
        ValueError: if no source can be read, or a cache cannot be written.
    """

    def __init__(
        self,
        dataset: Dataset,
        encoders: Sequence[FrozenEncoder],
        cache_dir: str | Path,
        versions: int = 1,
        distortion: Distortion | None = None,
        keep_sources: bool = False,
        data_name: str = "",
        batch_size: int = 64,
        num_workers: int = 0,
    ) -> None:
        found = [_fingerprint(dataset, index) for index in range(len(dataset))]
        unreadable = {index: known for index, known in enumerate(found) if isinstance(known, UnreadableError)}
        prints = {index: known for index, known in enumerate(found) if isinstance(known, str)}
        self._caches = [FeatureCache(cache_dir, encoder.fingerprint) for encoder in encoders]
        jobs = [_Version(number, distortion if number else None) for number in range(versions)]
        for encoder, cache in zip(encoders, self._caches, strict=True):
            for job in jobs:
                wanted = {index: known for index, known in prints.items() if index not in unreadable}
                unreadable |= _fill(cache, dataset, wanted, job, encoder.extract, batch_size, num_workers)
        kept = [index for index in prints if index not in unreadable]
        # (versions, encoders, examples, 2): where each example's features lie.
        self._places = np.stack(
            [[cache.find([job.key(prints[index]) for index in kept]) for cache in self._caches] for job in jobs]
        )
        self._dataset = dataset if keep_sources else None
        self._kept = kept
        self.folders = [cache.folder for cache in self._caches]
        for encoder, cache in zip(encoders, self._caches, strict=True):
            cache.describe(encoder.name, data_name)
            mark_used(cache.folder)
        entries = [dataset.entries[index] for index in kept]
        super().__init__(dataset.reader, entries, dataset.skipped + [unreadable[index] for index in sorted(unreadable)])
        if not kept:
            raise ValueError(f"no source can be read: {'; '.join(map(str, self.skipped[:3]))}")

    def __getitem__(self, index: int) -> Example:
        """The example with its features as it is."""
        return self._example(index, 0)

    def in_epoch(self, index: int, epoch: int) -> Example:
        """The example with the features of the version that an epoch draws."""
        return self._example(index, random.Random(f"{epoch}-{index}").randrange(len(self._places)))

    def _example(self, index: int, version: int) -> Example:
        entry, places = self.entries[index], self._places[version, :, index].tolist()
        features = tuple(cache.read(*place) for cache, place in zip(self._caches, places, strict=True))
        source = torch.zeros(0) if self._dataset is None else self._dataset.read(self._kept[index])
        return Example(entry.key, source, entry.targets, self.reader.sample_rate, features)


@dataclass(frozen=True)
class _Version:
    number: int
    distortion: Distortion | None

    def key(self, fingerprint: str) -> str:
        """Under which a source's features of this version are kept."""
        return fingerprint if self.distortion is None else f"{fingerprint}:{self.distortion.fingerprint}:{self.number}"

    def of(self, source: Tensor, fingerprint: str) -> Tensor:
        if self.distortion is None:
            return source
        # By the source, not by the encoder: several encoders hear or see one and the same version.
        return self.distortion.distort(source, int.from_bytes(digest(self.key(fingerprint))[:4], "big"))


def _fingerprint(dataset: Dataset, index: int) -> str | UnreadableError:
    """What tells a source apart from all others, by the source itself only if the data set cannot tell otherwise."""
    try:
        known = dataset.fingerprint(index)
        return known if known is not None else _of_content(dataset.read(index))
    except UnreadableError as error:
        return error
    except OSError as error:  # a file that has gone since the data set was built
        return UnreadableError(str(error.filename), str(error.strerror))


def _of_content(source: Tensor | str) -> str:
    assert isinstance(source, Tensor), "texts have no features to cache"
    return f"{tuple(source.shape)}:{hashlib.sha256(source.contiguous().numpy().tobytes()).hexdigest()}"


def _fill(
    cache: FeatureCache,
    dataset: Dataset,
    fingerprints: Mapping[int, str],
    version: _Version,
    extract: Callable[[list[Tensor]], list[Tensor]],
    batch_size: int,
    num_workers: int,
) -> dict[int, UnreadableError]:
    """Computes what the cache lacks; returns the sources that could not be read."""
    keys = {index: version.key(known) for index, known in fingerprints.items()}

    def lacking(indices: Sequence[int]) -> list[int]:
        found = cache.find([keys[index] for index in indices])
        return [index for index, place in zip(indices, found.tolist(), strict=True) if tuple(place) == MISSING]

    missing = lacking(list(keys))
    if not missing:
        return {}
    # Each process begins at another place (golden ratio, so that neighboring ids lie far apart) and passes over what
    # has been done by the others when it gets there.
    start = int(os.getpid() * 0.6180339887498949 % 1 * len(missing))
    order = missing[start:] + missing[:start]
    unreadable: dict[int, UnreadableError] = {}
    written = done = 0
    with Progress() as progress, torch.no_grad():
        bar = progress.add_task(f"encoding {dataset.reader.modality}s for the feature cache", total=len(missing))

        def batches() -> Iterator[list[int]]:
            for first in range(0, len(order), batch_size):
                indices = lacking(order[first : first + batch_size])
                progress.advance(bar, len(order[first : first + batch_size]) - len(indices))
                if indices:
                    yield indices

        loader = DataLoader(_Readable(dataset), batch_sampler=batches(), num_workers=num_workers, collate_fn=list)
        for batch in loader:
            unreadable |= {index: source for index, source in batch if isinstance(source, UnreadableError)}
            sources = {index: source for index, source in batch if isinstance(source, Tensor)}
            wanted = lacking(list(sources))
            if wanted:
                features = extract([version.of(sources[index], fingerprints[index]) for index in wanted])
                cache.append([keys[index] for index in wanted], features)
                written += sum(2 * each.numel() for each in features)  # not what other processes have added meanwhile
            progress.advance(bar, len(batch))
            done += len(batch)
            _check_space(cache, written / done * int(progress.tasks[bar].remaining or 0))
    return unreadable


def _check_space(cache: FeatureCache, needed: float) -> None:
    """Refuses to go on where what remains will not fit."""
    if cache.width is None:  # nothing readable so far
        return
    free = shutil.disk_usage(cache.folder).free
    if needed > free:
        raise ValueError(
            f"data.cache_dir: the feature cache needs {needed / 1e9:.1f} GB more, '{cache.folder}' has {free / 1e9:.1f}"
        )


class _Readable(TorchDataset[tuple[int, Tensor | UnreadableError]]):
    """Sources by index, with errors as values, since an exception would end the loader."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> tuple[int, Tensor | UnreadableError]:
        try:
            source = self.dataset[index].source
        except UnreadableError as error:
            return index, error
        assert isinstance(source, Tensor), "texts have no features to cache"
        return index, source
