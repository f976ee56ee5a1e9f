"""Decodes examples into what figures and pages show: hypothesis, attention, and the truth beside it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from multimodal_attn.data.loading.collate import Collate
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.search import Search
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.types import Example, Hypothesis, Memory


@torch.no_grad()
def decode_examples(
    module: Seq2SeqModule, examples: Sequence[Example], search: Search | None = None
) -> list[Prediction]:
    """The best hypothesis of each example as a record, with the others that the search found.

    Args:
        module: put into evaluation mode for the while: maps of a model with dropout would be noise.
        examples: pictures, waveforms or texts as they are, not cached features.
        search: in place of the module's own.
    """
    was_training = module.training
    module.eval()
    batch = Collate(module.tokenizer, module.source_tokenizer)(list(examples)).to(module.device)
    memory = module.model.encode(batch)
    hypotheses = module.decode(memory, search, batch.keys)
    module.train(was_training)
    return [
        record_of(module, example, found, memory, index)
        for index, (example, found) in enumerate(zip(examples, hypotheses, strict=True))
    ]


def record_of(
    module: Seq2SeqModule, example: Example, hypotheses: Sequence[Hypothesis], memory: Memory, index: int
) -> Prediction:
    """The record of what was found for an example: the best text, with the others.

    Args:
        module: that decoded it.
        example: with its picture, waveform or text, not cached features.
        hypotheses: of the example, best first.
        memory: that they were decoded from, and
        index: the example's place in it.
    """
    positions = int(memory.mask[index].sum())
    sample_rate = module.config.get("data", {}).get("sample_rate", 16_000)
    best, *others = [
        Prediction.from_hypothesis(
            example, found, module.tokenizer, memory.layout, positions, sample_rate, module.source_tokenizer
        )
        for found in hypotheses
    ]
    best.others = others
    return best
