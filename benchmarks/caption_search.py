"""Times the beam search of a captioner: ``python benchmarks/caption_search.py``.

32 pictures, a beam of 5, 30 words each, of which none ends early; vocabulary, widths and memory of
``caption_training.py``. The naive search repeats the memory for each hypothesis, reorders it in each step, projects the
keys anew, and normalises over the whole vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import torch
from caption_training import BATCH, VOCABULARY, WIDTH
from naive import NaiveDecoder
from peers import INSTALLED, SpeechBrainDecoder
from timing import arguments, configuration, decoder_of, interleave, report

from multimodal_attn.search import BeamSearch
from multimodal_attn.search.rules.min_length import MinLength
from multimodal_attn.types import Grid, Memory

BEAM, WORDS = 5, 30


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
    states = torch.randn(BATCH, cells, dim, device=device)
    memory = Memory(states, torch.ones(BATCH, cells, dtype=torch.bool, device=device), Grid(cells, 1))
    model = SimpleNamespace(decoder=decoder_of(config, dim, VOCABULARY).to(device).eval())
    search = BeamSearch(BEAM, max_length=WORDS, rules=[MinLength(WORDS)])
    naive = NaiveDecoder(dim, VOCABULARY, WIDTH).to(device)

    def ours(autocast: bool) -> Callable[[], None]:
        def run() -> None:
            with torch.no_grad(), torch.autocast(torch.device(device).type, torch.bfloat16, enabled=autocast):
                found = search(model, memory)
            assert all(len(hypotheses[0].tokens) >= WORDS for hypotheses in found)

        return run

    variants = {
        "naive loop": lambda: naive.beam(states, BEAM, WORDS),
        "ours": ours(autocast=False),
        "ours, bf16": ours(autocast=True),
    }
    if INSTALLED:
        peer = SpeechBrainDecoder(dim, VOCABULARY, WIDTH).to(device).eval()
        variants["SpeechBrain"] = lambda: peer.beam(states, BEAM, WORDS)
    per_word = 4 * WIDTH * (2 * WIDTH + dim) + 2 * WIDTH**2 + WIDTH * dim + 2 * cells * dim + VOCABULARY * WIDTH
    multiply_adds = BATCH * (BEAM * WORDS * per_word + cells * dim * WIDTH)
    results = interleave(variants, options.rounds, device)
    report(f"Caption beam search, memory {cells} x {dim}", results, multiply_adds, options, "naive loop")


if __name__ == "__main__":
    main()
