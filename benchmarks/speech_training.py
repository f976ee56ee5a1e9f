"""Times a training step of a speech model: ``python benchmarks/speech_training.py``.

Batch 16 of 3 to 12 seconds (300 to 1,200 frames of 80 mels), three BLSTM layers of 256 a direction that read two
steps as one, an LSTM of 512 with location-aware attention, 31 characters, 14 of them a second (as in LibriSpeech):
front end, encoder, decoder, loss, backward, clipping and the optimiser's step. The naive model packs its
sequences and hoists nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from caption_training import trainer
from naive import NaiveSpeller
from peers import INSTALLED, SpeechBrainSpeller
from timing import arguments, configuration, interleave, report
from torch import Tensor
from torch.nn import functional

from multimodal_attn.masking import length_mask
from multimodal_attn.models.kernels import use
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.prediction.build import build_decoder, build_encoder
from multimodal_attn.types import BOS, EOS, Batch

BATCH, CHARACTERS, WIDTH, HIDDEN, MELS, RATE = 16, 31, 512, 256, 80, 16_000


def batch(device: str) -> Batch:
    """Noise and random characters."""
    seconds = torch.linspace(3, 12, BATCH)
    lengths, sizes = (RATE * seconds).long(), (14 * seconds).long()
    positions = torch.arange(int(sizes.max()) + 2)
    tokens = torch.randint(4, CHARACTERS, (BATCH, len(positions)))
    tokens[:, 0] = BOS
    tokens = tokens.masked_fill(positions == sizes[:, None] + 1, EOS).masked_fill(positions > sizes[:, None] + 1, 0)
    waveforms = 0.1 * torch.randn(BATCH, int(lengths.max())) * length_mask(lengths, int(lengths.max()))
    tokens, mask = tokens[:, None].to(device), (tokens > 0)[:, None].to(device)
    keys = [str(i) for i in range(BATCH)]
    return Batch(keys, waveforms.to(device), lengths.to(device), tokens, mask, [() for _ in keys], False)


def main() -> None:
    options = arguments(__doc__).parse_args()
    device = options.device
    torch.manual_seed(0)
    config = configuration(
        "experiment=listen_attend_spell_spoken",
        "attention=location",
        "encoder=pyramid_lstm",
        f"encoder.hidden_dim={HIDDEN}",
        "encoder.reductions=[2,2,2]",
        f"decoder.hidden_dim={WIDTH}",
        f"decoder.embedding_dim={WIDTH}",
        f"attention.attention_dim={WIDTH}",
        "attention.num_filters=10",
        "attention.kernel_size=31",
    )
    data = batch(device)

    def ours(fast: bool, autocast: bool = False) -> Callable[[], None]:
        encoder = build_encoder(config["encoder"], None, ())
        model = Seq2Seq(encoder, build_decoder(config, ()), CHARACTERS).to(device)

        def loss() -> Tensor:
            with use(fast), torch.autocast(torch.device(device).type, torch.bfloat16, enabled=autocast):
                output, _ = model(data)
                return functional.cross_entropy(output.logits.float(), output.labels)

        return trainer(model, loss)

    naive = NaiveSpeller(MELS, HIDDEN, WIDTH, CHARACTERS, filters=10, kernel=31).to(device)
    front_end = build_encoder(config["encoder"], None, ()).front_end.to(device)
    variants = {
        "naive loop": trainer(
            naive, lambda: naive.loss(*front_end(data.source, data.source_lengths), data.tokens[:, 0])
        ),
        "plain": ours(fast=False),
        "fast": ours(fast=True),
        "plain, bf16": ours(fast=False, autocast=True),
        "fast, bf16": ours(fast=True, autocast=True),
    }
    if INSTALLED:
        peer = SpeechBrainSpeller(MELS, HIDDEN, WIDTH, CHARACTERS, filters=10, kernel=31).to(device)
        variants["SpeechBrain"] = trainer(
            peer, lambda: peer.loss(*front_end(data.source, data.source_lengths), data.tokens[:, 0])
        )
    frames = data.source_lengths.double() * 100 / RATE
    cells, words = frames / 8, data.token_mask[:, 0, 1:].sum(-1)
    lstm = 2 * 4 * HIDDEN  # both directions
    encoder = lstm * (frames / 2 * (2 * MELS + HIDDEN) + frames / 4 * 5 * HIDDEN + cells * 5 * HIDDEN)
    per_word = 4 * WIDTH * (2 * WIDTH + 2 * HIDDEN) + WIDTH**2 + cells * (10 * 31 + 10 * WIDTH + WIDTH + 2 * HIDDEN)
    multiply_adds = 3 * float((encoder + words * per_word + cells * 2 * HIDDEN * WIDTH).sum())
    results = interleave(variants, options.rounds, device)
    report("Speech training step", results, multiply_adds, options, "naive loop")


if __name__ == "__main__":
    main()
