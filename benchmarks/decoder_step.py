"""Times the step of decoders late in a text: ``python benchmarks/decoder_step.py [--tokens 10 50 100 200]``.

One source of 50 positions, a beam of 5, the widths of ``transformer_multi30k``. With its cache of keys and values, a
step of self-attention costs more late in a text only by what it reads of that. "Without a cache" reads all tokens
again, as the first tutorials do. The table has the median of a step in ms, and how much more the last one takes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from timing import arguments, configuration, decoder_of, interleave

from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.types import Memory, TokenAxis

POSITIONS, BEAM, WIDTH, VOCABULARY, STEPS = 50, 5, 256, 6000, 20
DECODERS = ("transformer", "prefix_transformer", "align_translate")


def steps(decoder: Decoder, memory: Memory, before: int) -> Callable[[], None]:
    """Some steps, each of which reads one more token after so many others."""
    source = decoder.prepare(memory)
    state: Any = decoder.start(source, BEAM)
    token = torch.full((1, BEAM), 7, device=memory.mask.device)
    for _ in range(before):
        state = decoder.step(token, state, source)[1]

    def run() -> None:
        for _ in range(STEPS):
            decoder.step(token, state, source)

    return run


def without_cache(decoder: Decoder, memory: Memory, before: int) -> Callable[[], None]:
    """The same, from nothing each time."""
    tokens = torch.full((1, BEAM, before + 2), 7, device=memory.mask.device)
    mask = torch.zeros_like(tokens, dtype=torch.bool)
    mask[..., -1] = True  # only the last token is predicted

    def run() -> None:
        for _ in range(STEPS):
            decoder(tokens, mask, memory)

    return run


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--tokens", type=int, nargs="+", default=[10, 50, 100, 200])
    options = parser.parse_args()
    torch.manual_seed(0)
    mask = torch.ones(1, POSITIONS, dtype=torch.bool, device=options.device)
    memory = Memory(torch.randn(1, POSITIONS, WIDTH, device=options.device), mask, TokenAxis())
    variants: dict[str, dict[int, Callable[[], None]]] = {}
    for name in DECODERS:
        config = configuration("experiment=transformer_multi30k", f"decoder={name}", "attention=additive")
        decoder = decoder_of(config, WIDTH, VOCABULARY).to(options.device).eval()
        variants[name] = {number: steps(decoder, memory, number) for number in options.tokens}
        if name == "transformer":
            name = "transformer, without a cache"
            variants[name] = {number: without_cache(decoder, memory, number) for number in options.tokens}
    flat = {f"{name} {number}": run for name, each in variants.items() for number, run in each.items()}
    with torch.no_grad():
        found = interleave(flat, options.rounds, options.device)
    print(f"{torch.get_num_threads()} threads, {options.device}, {options.rounds} rounds")
    print("| tokens before | " + " | ".join(map(str, options.tokens)) + " | the last to the first |")
    print("| --- " * (len(options.tokens) + 2) + "|")
    for name in variants:
        each = [found[f"{name} {number}"]["median_ms"] / STEPS for number in options.tokens]
        print(f"| {name} | " + " | ".join(f"{ms:.2f}" for ms in each) + f" | {each[-1] / each[0]:.2f} |")


if __name__ == "__main__":
    main()
