"""Times a training step of the caption decoder on a given memory: ``python benchmarks/caption_training.py``.

Batch 32, memory 196 x 512 (or ``--memory 49 2048``), vocabulary 9,490, texts of 8 to 22 words, all widths 512: loss,
backward, clipping and the optimiser's step. Ours is built from its yaml; the naive loop does the same arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from naive import NaiveDecoder
from peers import INSTALLED, SpeechBrainDecoder
from timing import arguments, configuration, decoder_of, interleave, report
from torch import Tensor, nn
from torch.nn import functional

from multimodal_attn.models.kernels import use
from multimodal_attn.types import BOS, EOS, Grid, Memory

VOCABULARY, WIDTH, BATCH = 9490, 512, 32


def texts() -> Tensor:
    """(B, T) tokens from <bos> to <eos>, 0 behind."""
    lengths = torch.randint(8, 23, (BATCH,))
    positions = torch.arange(int(lengths.max()) + 2)
    tokens = torch.randint(4, VOCABULARY, (BATCH, len(positions)))
    tokens = tokens.masked_fill(positions > lengths[:, None] + 1, 0)
    tokens[:, 0] = BOS
    return tokens.masked_fill(positions == lengths[:, None] + 1, EOS)


def trainer(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """One training step as a function."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        loss().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--memory", type=int, nargs=2, default=(196, 512), metavar=("CELLS", "WIDTH"))
    options = parser.parse_args()
    (cells, dim), device = options.memory, options.device
    torch.manual_seed(0)
    config = configuration(
        "decoder=show_attend_tell",
        f"decoder.hidden_dim={WIDTH}",
        f"decoder.embedding_dim={WIDTH}",
        f"attention.attention_dim={WIDTH}",
    )
    tokens = texts().to(device)
    mask, states = tokens > 0, torch.randn(BATCH, cells, dim, device=device)
    memory = Memory(states, torch.ones(BATCH, cells, dtype=torch.bool, device=device), Grid(cells, 1))

    def ours(fast: bool, autocast: bool = False) -> Callable[[], None]:
        decoder = decoder_of(config, dim, VOCABULARY).to(device)

        def loss() -> Tensor:
            with use(fast), torch.autocast(torch.device(device).type, torch.bfloat16, enabled=autocast):
                output = decoder(tokens[:, None], mask[:, None], memory)
                return functional.cross_entropy(output.logits.float(), output.labels)

        return trainer(decoder, loss)

    naive = NaiveDecoder(dim, VOCABULARY, WIDTH).to(device)
    variants = {
        "naive loop": trainer(naive, lambda: naive.loss(tokens, states)),
        "plain": ours(fast=False),
        "fast": ours(fast=True),
        "plain, bf16": ours(fast=False, autocast=True),
        "fast, bf16": ours(fast=True, autocast=True),
    }
    if INSTALLED:
        peer = SpeechBrainDecoder(dim, VOCABULARY, WIDTH).to(device)
        variants["SpeechBrain"] = trainer(peer, lambda: peer.loss(tokens, states))
    words, steps = int(mask[:, 1:].sum()), BATCH
    per_word = 4 * WIDTH * (2 * WIDTH + dim) + 2 * WIDTH**2 + WIDTH * dim + 2 * cells * dim + VOCABULARY * WIDTH
    multiply_adds = 3 * (words * per_word + steps * cells * dim * WIDTH)
    results = interleave(variants, options.rounds, device)
    report(f"Caption training step, memory {cells} x {dim}", results, multiply_adds, options, "naive loop")


if __name__ == "__main__":
    main()
