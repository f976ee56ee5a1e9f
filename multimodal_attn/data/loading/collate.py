"""Examples to batches: reading with skips, choosing texts, padding."""

from __future__ import annotations

import random
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from multimodal_attn.data.datasets.base import Dataset
from multimodal_attn.data.modalities import READERS
from multimodal_attn.data.modalities.base import pad_in_time
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.types import BOS, EOS, PAD, Batch, Example, UnreadableError


class ReadOrSkip(TorchDataset[Example | UnreadableError]):
    """Reads examples for a loader; an unreadable one is returned as its error, so that its batch goes on without it.

    Args:
        source: the data set.
        texts_per_source: how many of an example's texts go into a batch, drawn anew in every epoch; None for all.
        seed: of the drawing.
    """

    def __init__(self, source: Dataset, texts_per_source: int | None = None, seed: int = 0) -> None:
        self.source, self.texts_per_source, self.seed = source, texts_per_source, seed

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, item: tuple[int, int]) -> Example | UnreadableError:
        epoch, index = item
        try:
            example = self.source.in_epoch(index, epoch)
        except UnreadableError as error:
            return error
        if self.texts_per_source is None or self.texts_per_source >= len(example.targets):
            return example
        # Seeded by epoch and index: a resumed run draws what the uninterrupted one would have drawn.
        drawn = random.Random(f"{self.seed}-{epoch}-{index}").sample(example.targets, self.texts_per_source)
        return replace(example, targets=tuple(drawn))


class Collate:
    """Pads examples into a ``Batch``.

    Args:
        tokenizer: encodes the texts that are to be written.
        source_tokenizer: encodes sources that are texts.
    """

    def __init__(self, tokenizer: Tokenizer, source_tokenizer: Tokenizer | None = None) -> None:
        self.tokenizer, self.source_tokenizer = tokenizer, source_tokenizer

    def __call__(self, items: list[Example | UnreadableError]) -> Batch:
        examples = [item for item in items if isinstance(item, Example)]
        skipped = [item for item in items if isinstance(item, UnreadableError)]
        source, lengths = torch.zeros(0), torch.zeros(0, dtype=torch.long)
        features = tuple(
            pad_in_time(list(each)) for each in zip(*(example.features for example in examples), strict=True)
        )
        if features and not examples[0].source.numel():  # type: ignore[union-attr]
            lengths = torch.zeros(len(examples), dtype=torch.long)
        elif examples:
            source, lengths = READERS[examples[0].modality].pad(
                [self._as_tensor(example.source_to_read) for example in examples]
            )
        rows = max((len(example.targets) for example in examples), default=1) or 1
        source_texts = [example.source if isinstance(example.source, str) else "" for example in examples]
        tokenizers = [self.tokenizer.of_source(text) for text in source_texts]
        texts = [
            [[BOS, *tokenizer.encode(target.text), EOS] for target in example.targets]
            for example, tokenizer in zip(examples, tokenizers, strict=True)
        ]
        longest = max((len(tokens) for row in texts for tokens in row), default=2)
        tokens = torch.full((len(examples), rows, longest), PAD)
        mask = torch.zeros(len(examples), rows, longest, dtype=torch.bool)
        for b, row in enumerate(texts):
            for k, ids in enumerate(row):
                tokens[b, k, : len(ids)] = torch.tensor(ids)
                mask[b, k, : len(ids)] = True
        copies = self._copies(source_texts, tokenizers)
        return Batch(
            keys=[example.key for example in examples],
            source=source,
            source_lengths=lengths,
            tokens=tokens,
            token_mask=mask,
            targets=[example.targets for example in examples],
            features=features,
            skipped=skipped,
            sample_rate=examples[0].sample_rate if examples else 0,
            source_texts=source_texts,
            copies=copies,
            num_extra=0 if copies is None else max(0, int(copies.max()) + 1 - len(self.tokenizer)),
        )

    def _copies(self, texts: list[str], tokenizers: list[Tokenizer]) -> Tensor | None:
        """What each position of the sources is called where it is written, (B, S)."""
        if not self.tokenizer.copies or self.source_tokenizer is None:  # which a language model lacks: it reads nothing
            return None
        ids = [torch.tensor([*own.encode(text), EOS]) for own, text in zip(tokenizers, texts, strict=True)]
        return pad_in_time(ids)[0]

    def _as_tensor(self, source: Tensor | str) -> Tensor:
        if isinstance(source, Tensor):
            return source
        if not source and self.source_tokenizer is None:  # of a text for language models, which read nothing
            return torch.zeros(0)
        assert self.source_tokenizer is not None, "a source text needs the tokenizer of its language"
        return torch.tensor([*self.source_tokenizer.encode(source), EOS])
