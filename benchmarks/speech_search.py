"""Times the beam search of a speller: ``python benchmarks/speech_search.py``.

8 recordings of 96 memory steps, a beam of 8, 150 characters each, of which none ends early; widths and alphabet of
``speech_training.py``. The naive search repeats the memory for every hypothesis, reorders it in every step and projects
the keys anew.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import torch
from naive import NaiveSpeller
from peers import INSTALLED, SpeechBrainDecoder
from speech_training import CHARACTERS, HIDDEN, MELS, WIDTH
from timing import arguments, configuration, decoder_of, interleave, report

from multimodal_attn.search import BeamSearch
from multimodal_attn.search.rules.min_length import MinLength
from multimodal_attn.types import Memory, Timeline

RECORDINGS, STEPS, BEAM, LENGTH, FILTERS, KERNEL = 8, 96, 8, 150, 10, 31


def main() -> None:
    options = arguments(__doc__).parse_args()
    device = options.device
    torch.manual_seed(0)
    config = configuration(
        "experiment=listen_attend_spell_spoken",
        "attention=location",
        f"decoder.hidden_dim={WIDTH}",
        f"decoder.embedding_dim={WIDTH}",
        f"attention.attention_dim={WIDTH}",
        f"attention.num_filters={FILTERS}",
        f"attention.kernel_size={KERNEL}",
    )
    dim = 2 * HIDDEN
    states = torch.randn(RECORDINGS, STEPS, dim, device=device)
    memory = Memory(states, torch.ones(RECORDINGS, STEPS, dtype=torch.bool, device=device), Timeline(0.08))
    model = SimpleNamespace(decoder=decoder_of(config, dim, CHARACTERS).to(device).eval())
    search = BeamSearch(BEAM, max_length=LENGTH, rules=[MinLength(LENGTH)])
    naive = NaiveSpeller(MELS, HIDDEN, WIDTH, CHARACTERS, filters=FILTERS, kernel=KERNEL).to(device)
    sizes = torch.full((RECORDINGS,), STEPS, device=device)

    def ours(autocast: bool) -> Callable[[], None]:
        def run() -> None:
            with torch.no_grad(), torch.autocast(torch.device(device).type, torch.bfloat16, enabled=autocast):
                found = search(model, memory)
            assert all(len(hypotheses[0].tokens) >= LENGTH for hypotheses in found)

        return run

    variants = {
        "naive loop": lambda: naive.beam(states, sizes, BEAM, LENGTH),
        "ours": ours(autocast=False),
        "ours, bf16": ours(autocast=True),
    }
    if INSTALLED:
        peer = SpeechBrainDecoder(dim, CHARACTERS, WIDTH, FILTERS, KERNEL).to(device).eval()
        variants["SpeechBrain"] = lambda: peer.beam(states, BEAM, LENGTH)
    attended = FILTERS * (KERNEL + WIDTH) + WIDTH + dim  # of each memory step
    per_token = 4 * WIDTH * (2 * WIDTH + dim) + WIDTH**2 + STEPS * attended + 2 * WIDTH * CHARACTERS
    multiply_adds = RECORDINGS * (BEAM * LENGTH * per_token + STEPS * dim * WIDTH)
    results = interleave(variants, options.rounds, device)
    report("Speech beam search", results, multiply_adds, options, "naive loop")


if __name__ == "__main__":
    main()
