"""Data sets, tokenizer and loaders of one run."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from multimodal_attn.data.datasets.base import SPLITS, Dataset, Split
from multimodal_attn.data.loading.batching import BucketBatchSampler
from multimodal_attn.data.loading.collate import Collate, ReadOrSkip
from multimodal_attn.data.loading.features import CachedFeatures, Distortion, FrozenEncoder
from multimodal_attn.data.loading.mirroring import Mirrored
from multimodal_attn.data.loading.selection import Selection, outside
from multimodal_attn.data.loading.timed import Timed
from multimodal_attn.data.reading.cache import CACHE_GIGABYTES, limit_cache
from multimodal_attn.data.reading.samples import LONGEST_SECONDS
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.ranges import Count, NotNegative, Positive, WholeNumber, Workers
from multimodal_attn.types import UnreadableError


def _leave_interrupts(worker: int) -> None:
    """Leaves Ctrl-C, which a terminal sends to every process, to the training: it ends its workers when it stops."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class DataModule(pl.LightningDataModule):
    """Makes data sets when they are first asked for, and loaders from them.

    Args:
        dataset: makes the data set of a split when called with ``split``.
        tokenizer: fitted on the training texts, unless it already is (from a checkpoint).
        source_tokenizer: the same for sources that are texts, None for others.
        batch_size: sources in a training batch; not looked at with ``batch_seconds``.
        eval_batch_size: sources in a validation batch.
        texts_per_source: how many of a source's texts a training batch holds; None for all.
        num_workers: processes that read examples; 0 reads in the training process.
        min_seconds, max_seconds: shorter and longer recordings are left out of training, and listed; None for no limit.
            Validation and test leave nothing out.
        longest_seconds: of a recording in any split, for the sake of memory; longer ones are left out, and listed.
        batch_seconds, quadratic_seconds, short_first_epochs: of the training batches; see ``BucketBatchSampler``.
        batch_tokens: of a training batch of texts, padded, what is read and what is to be written together, in place of
            ``batch_size``; None counts sources.
        mirror: train on the mirror images of photos, too; an epoch is then twice as long.
        word_times: file of ``multimodal-attn align``, whose word times take the place of the data set's own.
        cached_versions: of each training source in the feature cache of a frozen encoder; the first is the source as it
            is, the others are distorted. An epoch draws one of them.
        cache_gigabytes: the most that is kept in the folder of the cache; what has not been used for longest goes.
        seed: of shuffling and drawing.
    """

    def __init__(
        self,
        dataset: Callable[..., Dataset],
        tokenizer: Tokenizer,
        source_tokenizer: Tokenizer | None = None,
        batch_size: Count = 32,
        eval_batch_size: Count = 64,
        texts_per_source: Count | None = None,
        num_workers: Workers = 0,
        min_seconds: NotNegative | None = None,
        max_seconds: Positive | None = None,
        longest_seconds: Positive = LONGEST_SECONDS,
        batch_seconds: Positive | None = None,
        quadratic_seconds: NotNegative = 0.0,
        short_first_epochs: WholeNumber = 0,
        batch_tokens: Count | None = None,
        mirror: bool = False,
        word_times: str | Path | None = None,
        cached_versions: Count = 1,
        cache_gigabytes: Positive = CACHE_GIGABYTES,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.min_seconds, self.max_seconds, self.longest_seconds = min_seconds, max_seconds, longest_seconds
        self.batch_seconds, self.quadratic_seconds = batch_seconds, quadratic_seconds
        self.batch_tokens = batch_tokens
        self.short_first_epochs, self.mirror = short_first_epochs, mirror
        self.word_times = word_times
        self.cached_versions, self.cache_gigabytes = cached_versions, cache_gigabytes
        self.make_dataset, self.tokenizer, self.source_tokenizer = dataset, tokenizer, source_tokenizer
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.texts_per_source, self.num_workers, self.seed = texts_per_source, num_workers, seed
        self._sources: dict[Split, Dataset] = {}
        self._cached: dict[Split, CachedFeatures] = {}
        self._tokens: list[float] | None = None  # of each training source, when they are first needed
        self._begun = (0, 0)  # epoch, and batches of it that are done, with which training begins

    def source(self, split: Split) -> Dataset:
        """The data set of a split, with pictures and waveforms as they are.

        Raises:
            ValueError: for another split, if the split holds no example, or for limits in seconds where there are none.
        """
        if split not in SPLITS:
            raise ValueError(f"split: {split!r}; expected one of {', '.join(SPLITS)}")
        if split not in self._sources:
            source = self.make_dataset(split=split)
            if len(source) == 0:
                reasons = "".join(f"\n  {error}" for error in source.skipped[:5])
                raise ValueError(f"data: the {split} split holds no usable example{reasons}")
            for name in ("min_seconds", "max_seconds", "batch_seconds"):
                if (value := getattr(self, name)) is not None and source.reader.unit != "seconds":
                    raise ValueError(f"data.{name}: {value:g}; expected null, as {source.reader.phrase} has no seconds")
            if self.batch_tokens is not None and source.reader.modality != "text":
                raise ValueError(
                    f"data.batch_tokens: {self.batch_tokens}; expected null, as {source.reader.phrase} has no tokens"
                )
            if self.word_times is not None:
                source = Timed(source, split, self.word_times)
            if self.mirror and split == "train":
                source = Mirrored(source)
            self._sources[split] = source
            if source.reader.unit == "seconds":
                source.reader.longest_seconds = self.longest_seconds
                self.leave_out(split, outside(source.lengths(), None, self.longest_seconds, "longest_seconds"))
            if split == "train":
                self.leave_out(split, outside(self.source(split).lengths(), self.min_seconds, self.max_seconds))
        return self._sources[split]

    def leave_out(self, split: Split, reasons: dict[int, str]) -> None:
        """Goes on without the examples of these indices; ``skipped`` lists them with their reasons.

        Raises:
            ValueError: if nothing remains.
        """
        if reasons:
            self._sources[split] = Selection(self.source(split), reasons)

    def fit_tokenizers(self, of_sources: bool = True) -> None:
        """Builds the vocabularies from the training texts, never from others.

        Args:
            of_sources: that of the source texts, too; else their tokenizer is left as it is.

        Raises:
            ValueError: if there is a tokenizer for source texts, and no such texts.
        """
        source = self.source("train")
        written, read = source.vocabulary_texts()
        self.tokenizer.fit(written, source.symbols)
        if self.source_tokenizer is not None:
            if source.reader.modality != "text":
                raise ValueError(
                    "source_tokenizer: these data have pictures or recordings for sources; expected none of"
                    " it, or data=parallel_text"
                )
            if of_sources:
                self.source_tokenizer.fit(read, source.symbols)

    def documents(self) -> list[list[str]]:
        """The training texts, those of one source together, without reading a picture or recording."""
        return self.source("train").documents()

    def cache_features(
        self,
        split: Split,
        encoders: Sequence[FrozenEncoder],
        cache_dir: str | Path,
        distortion: Distortion | None = None,
        name: str = "",
    ) -> None:
        """Lets the loaders of a split give the output of frozen encoders in place of pictures and recordings.

        Args:
            split: whose.
            encoders: each with a cache of its own.
            cache_dir: folder of all caches.
            distortion: makes versions of a source that differ from it.
            name: what people call the data.

        Raises:
            ValueError: if several versions are asked for, and nothing makes them differ.
        """
        versions = self.cached_versions if split == "train" else 1
        if versions > 1 and distortion is None:
            raise ValueError(
                f"data.cached_versions: {versions}; expected 1, or an encoder that distorts what it reads in training"
            )
        source = self.source(split)
        # What is quiet in a recording, and how long it is, only the recording itself can tell.
        heard = split != "train" and source.reader.modality == "recording"
        self._cached[split] = CachedFeatures(source, encoders, cache_dir, versions, distortion, heard, name)
        limit_cache(cache_dir, self.cache_gigabytes, keep=self._cached[split].folders)

    def check_cached(self) -> None:
        """Raises a ValueError if several versions are asked for where nothing is cached."""
        if self.cached_versions > 1 and "train" not in self._cached:
            raise ValueError(
                f"data.cached_versions: {self.cached_versions}; expected 1, as nothing is cached here: that takes a"
                " frozen encoder and a data.cache_dir. An encoder that trains distorts what it reads in every step"
            )

    def skipped(self, split: Split) -> list[UnreadableError]:
        """What a split's data set, and its feature cache if there is one, had to leave out."""
        return self._cached[split].skipped if split in self._cached else self.source(split).skipped

    def loader(
        self,
        split: Split,
        train: bool = False,
        batch_size: int | None = None,
        share: tuple[int, int] | None = None,
    ) -> DataLoader:
        """Batches of a split: shuffled in buckets for training, else in the order of the data set.

        Args:
            split: whose.
            train: shuffled, as the training takes them.
            batch_size: in place of the data module's.
            share: rank and number of the processes that share the batches; None for those of the trainer, if any.
        """
        if share is None:
            share = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        cached = self._cached.get(split)
        source = self.source(split) if cached is None else cached
        sampler = self._sampler(source, train, batch_size, share)
        if train:
            sampler.begin_at(*self._begun)
        # Reading cached features costs less than handing them from one process to another.
        workers = 0 if cached is not None else self.num_workers
        return DataLoader(
            ReadOrSkip(source, self.texts_per_source if train else None, self.seed),
            batch_sampler=sampler,
            collate_fn=Collate(self.tokenizer, self.source_tokenizer),
            num_workers=workers,
            persistent_workers=workers > 0 and train,
            worker_init_fn=_leave_interrupts,
            pin_memory=torch.cuda.is_available(),
        )

    def train_dataloader(self) -> DataLoader:
        return self.loader("train", train=True)

    def val_dataloader(self) -> DataLoader:
        """Raises ValueError if there are fewer batches than processes: one without a batch would not validate."""
        loader = self.loader("val")
        examples, processes = len(self.source("val")), 1 if self.trainer is None else self.trainer.world_size
        if -(-examples // self.eval_batch_size) < processes:
            raise ValueError(
                f"data.eval_batch_size: batches of {self.eval_batch_size} of {examples} validation examples do not go"
                f" round {processes} processes (trainer.devices); expected smaller batches"
            )
        return loader

    def test_dataloader(self) -> DataLoader:
        return self.loader("test")

    def begin_at(self, epoch: int, batches: int) -> None:
        """Lets training begin in an epoch after its first batches.

        The loader must know when it is made: with workers it fetches ahead, before Lightning names the epoch.
        """
        self._begun = (epoch, batches)

    def fingerprint(self, epoch: int) -> str:
        """Equal if this and another data module share an epoch of training out in the same batches."""
        processes = 1 if self.trainer is None else self.trainer.world_size
        source = self._cached.get("train", self.source("train"))
        return self._sampler(source, True, None, (0, processes)).fingerprint(epoch)

    def _sampler(
        self, source: Dataset | CachedFeatures, train: bool, batch_size: int | None, share: tuple[int, int]
    ) -> BucketBatchSampler:
        by_tokens = train and self.batch_tokens is not None
        return BucketBatchSampler(
            self._token_lengths() if by_tokens else source.lengths(),
            batch_size or (self.batch_size if train else self.eval_batch_size),
            shuffle=train,
            seed=self.seed,
            batch_seconds=(self.batch_tokens if by_tokens else self.batch_seconds) if train else None,
            quadratic_seconds=self.quadratic_seconds,
            short_first_epochs=self.short_first_epochs,
            rank=share[0],
            world_size=share[1],
        )

    def _token_lengths(self) -> list[float]:
        """Of each training source, its tokens and those of the texts that a batch holds of it, as they are padded."""
        if self._tokens is None:
            source, tokenizer, most = self.source("train"), self.tokenizer, self.texts_per_source
            read = self.source_tokenizer or tokenizer
            self._tokens = []
            for text, targets in zip(source.source_texts(), source.documents(), strict=True):
                longest = max((len(tokenizer.encode(target)) for target in targets), default=0)
                rows = len(targets) if most is None else min(most, len(targets))
                self._tokens.append(float(len(read.encode(text)) + 1 + rows * (longest + 2)))
            if (longest_of_all := max(self._tokens)) > (self.batch_tokens or math.inf):
                raise ValueError(
                    f"data.batch_tokens: {self.batch_tokens}; the longest example has {longest_of_all:.0f} tokens;"
                    " raise it, or lower data.max_source_tokens or data.max_words"
                )
        return self._tokens
