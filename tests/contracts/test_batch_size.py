"""From waveforms to tokens: what a recording is decoded to does not depend on what it shares a batch with."""

from __future__ import annotations

import pytest
import torch

from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.search import BeamSearch, GreedySearch
from multimodal_attn.search.scorers.ctc import CTCScorer
from multimodal_attn.types import Batch, Memory
from tests.contracts.parts import SAMPLE_RATE, decoder_of, encoder_of
from tests.contracts.test_decoder import VOCAB

SECONDS = (0.7, 1.9, 0.3, 1.1, 2.3, 0.5, 1.6)  # the longest is neither first nor last
SEARCHES = {
    "greedy": GreedySearch(max_length=15),
    "beam": BeamSearch(4, max_length=15),
    "beam with CTC": BeamSearch(4, max_length=15, scorers=[CTCScorer(0.4, 8)]),
}


def model_of(encoder: str, decoder: str) -> Seq2Seq:
    torch.manual_seed(4)
    made = Seq2Seq(
        encoder_of(encoder),
        lambda memory_dim, vocab_size: decoder_of(decoder, "location", vocab_size, memory_dim),
        vocab_size=VOCAB,
        ctc_head=True,
    )
    with torch.no_grad():  # or every distribution would be nearly uniform
        for module in (made.decoder, made.ctc_head):
            for parameter in module.parameters():  # type: ignore[union-attr]
                parameter.mul_(2.5)
    return made.eval()


def batch_of(recordings: list[torch.Tensor]) -> Batch:
    lengths = torch.tensor([len(recording) for recording in recordings])
    source = torch.nn.utils.rnn.pad_sequence(recordings, batch_first=True)
    nothing = torch.zeros(len(recordings), 1, 2, dtype=torch.long)
    return Batch([""] * len(recordings), source, lengths, nothing, nothing.bool(), [()] * len(recordings))


@pytest.mark.parametrize("decoder", ["listen_attend_spell", "transformer"])
@pytest.mark.parametrize("encoder", ["pyramid_lstm", "conv_lstm", "time_depth_separable", "conformer", "transformer"])
@torch.no_grad()
def test_recordings_are_decoded_alike_at_any_batch_size(encoder: str, decoder: str) -> None:
    model = model_of(encoder, decoder)
    time = [torch.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE for seconds in SECONDS]
    recordings = [
        0.3 * torch.sin(2 * torch.pi * 200 * (index + 1) * t * (1 + t)) + 0.02 * torch.randn(len(t))
        for index, t in enumerate(time)
    ]

    def memories(size: int) -> list[Memory]:
        """Of the recordings in batches of this size."""
        made = [model.encode(batch_of(recordings[first : first + size])) for first in range(0, len(recordings), size)]
        for memory in made:
            memory.states *= 5  # random weights leave recordings hardly different
        return made

    def decode(name: str, batches: list[Memory]) -> list[list[list[int]]]:
        return [[h.tokens for h in hypotheses] for memory in batches for hypotheses in SEARCHES[name](model, memory)]

    different: set[str] = set()
    by_size = {size: memories(size) for size in (1, 2, 3, len(recordings))}
    for name in SEARCHES:
        alone = decode(name, by_size[1])
        different |= {str(texts) for texts in alone}
        for size, batches in by_size.items():
            assert size == 1 or decode(name, batches) == alone, (name, size)
    assert len(different) > 10
