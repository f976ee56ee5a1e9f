"""Decodes examples into what figures and pages show: hypothesis, attention, and the truth beside it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from multimodal_attn.data.collate import Collate
from multimodal_attn.inspection.record import AttentionRecord
from multimodal_attn.search import Search
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.types import Example


@torch.no_grad()
def decode_examples(
    module: Seq2SeqModule, examples: Sequence[Example], search: Search | None = None
) -> list[AttentionRecord]:
    """The best hypothesis of each example as a record, with the others that the search found.

    Args:
        module: put into evaluation mode for the while: maps of a model with dropout would be noise.
        examples: pictures or waveforms as they are, not cached features.
        search: in place of the module's own.
    """
    was_training = module.training
    module.eval()
    batch = Collate(module.tokenizer)(list(examples)).to(module.device)
    memory = module.model.encode(batch)
    hypotheses = module.decode(memory, search)
    module.train(was_training)
    positions = memory.mask.sum(1).tolist()
    sample_rate = module.config.get("data", {}).get("sample_rate", 16000)
    records = []
    for example, found, real in zip(examples, hypotheses, positions, strict=True):
        best, *others = [
            AttentionRecord.from_hypothesis(example, text, module.tokenizer, memory.layout, real, sample_rate)
            for text in found
        ]
        best.others = others
        records.append(best)
    return records
