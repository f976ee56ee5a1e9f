"""What an epoch of Flickr8k costs as peers train it, and as we do: ``python benchmarks/caption_epoch.py``.

Times 80 captions of ``experiment=show_attend_tell_flickr8k``, forward, losses, backward and the optimiser's step,
and multiplies by the 30,000 captions of an epoch. The peers' way is one caption at a time: no feature cache, so that
the frozen network sees a photo for each of its captions, and, in the last line, keys projected in each step.
Photos are random; texts have 12 words, which none of the ways gains from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from caption_training import trainer
from naive import NaiveDecoder
from timing import arguments, configuration, interleave
from torch import Tensor
from train_step import WORKLOADS, random_batch

from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.models.kernels import use
from multimodal_attn.runs.build import build_module
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.types import Batch

EXPERIMENT = "show_attend_tell_flickr8k"
CAPTIONS, EPOCH = 80, 30000


def step_of(module: Seq2SeqModule, batch: Batch, autocast: bool, fast: bool = True) -> Callable[[], None]:
    """A training step of ours."""

    def loss() -> Tensor:
        with use(fast), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            output, memory = module.model(batch)
            total: Tensor = module.losses(batch, memory, output)[0]
            return total

    return trainer(module, loss)


def main() -> None:
    options = arguments(__doc__).parse_args()
    torch.manual_seed(0)
    config = configuration(f"experiment={EXPERIMENT}")
    tokenizer = WordTokenizer().fit([f"word{i}" for i in range(WORKLOADS[EXPERIMENT]["words"])])
    ours = build_module(config, tokenizer).train()
    batch = random_batch(config, ours, WORKLOADS[EXPERIMENT])
    size = config["data"]["image_size"]
    photos = torch.randint(0, 256, (CAPTIONS, 3, size, size), dtype=torch.uint8)
    single = replace(
        batch,
        keys=[str(i) for i in range(CAPTIONS)],
        source=photos,
        source_lengths=torch.ones(CAPTIONS, dtype=torch.long),
        tokens=batch.tokens.flatten(0, 1)[:, None],
        token_mask=batch.token_mask.flatten(0, 1)[:, None],
        targets=[()] * CAPTIONS,
    )
    naive = NaiveDecoder(ours.model.encoder.dim, len(tokenizer), config["decoder"]["hidden_dim"])

    def naive_loss() -> Tensor:
        states = ours.model.encode(single).states.detach()
        return naive.loss(single.tokens[:, 0] * single.token_mask[:, 0], states)

    variants = {
        "ours": step_of(ours, batch, True),
        "ours, fp32": step_of(ours, batch, False),
        "a photo for each caption, fp32, plain loop": step_of(ours, single, False, fast=False),
        "naive: the same, keys projected in each step": trainer(naive, naive_loss),
    }
    results = interleave(variants, options.rounds, "cpu")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.rounds} rounds")
    print("| way | ms for 80 captions | minutes for 30,000 | times ours |\n| --- | --- | --- | --- |")
    for name, result in results.items():
        minutes = result["median_ms"] / CAPTIONS * EPOCH / 60000
        ratio = result["median_ms"] / results["ours"]["median_ms"]
        print(f"| {name} | {result['median_ms']:.0f} | {minutes:.1f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
