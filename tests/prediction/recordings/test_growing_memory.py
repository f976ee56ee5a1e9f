"""What is encoded piece by piece is what is encoded as a whole."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from multimodal_attn.data.modalities.recording import RecordingReader
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.models.encoders.speech.conformer import Conformer
from multimodal_attn.models.encoders.speech.conv_lstm import ConvLSTM
from multimodal_attn.models.encoders.speech.log_mel import LogMel
from multimodal_attn.models.encoders.speech.pyramid_lstm import PyramidLSTM
from multimodal_attn.models.encoders.speech.time_depth_separable import TimeDepthSeparable
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.prediction.recordings.growing_memory import GrowingMemory

RATE = 16_000
SECONDS = 3.3


def front_end(cmvn: str = "running") -> LogMel:
    made = LogMel(RATE, num_mels=8, cmvn=cmvn)
    made.count += 10  # as if it had been trained
    made.mean += 1.5
    made.square += 30
    return made


ENCODERS = {
    "time_depth_separable": lambda: TimeDepthSeparable(front_end(), (2, 3), (1, 1), (2, 2), 5, hidden_dim=8),
    "short steps": lambda: TimeDepthSeparable(front_end("none"), (2, 3), (1, 1), (2, 1), 3, hidden_dim=8),
    "chunks": lambda: Conformer(front_end(), 8, 2, 2, 2, 5, channels=2, chunk_steps=4, left_chunks=1),
    "short chunks": lambda: Conformer(front_end(), 8, 2, 2, 2, 7, 2, 2, chunk_steps=3, left_chunks=2),
    "whole": lambda: Conformer(front_end(), 8, 1, 2, 2, 5, channels=2),
    "conv_lstm": lambda: ConvLSTM(front_end("none"), (8, 8), 8, 1),
    "conv_lstm in chunks": lambda: ConvLSTM(front_end("none"), (8, 8), 8, 2, chunk_steps=5),
    "pyramid_lstm in chunks": lambda: PyramidLSTM(front_end(), 4, (2, 3), chunk_steps=3),
    "pyramid_lstm": lambda: PyramidLSTM(front_end("utterance"), 4, (2, 2)),
    "mean of the utterance": lambda: TimeDepthSeparable(front_end("utterance"), (2,), (1,), (4,), 5, hidden_dim=8),
}
CARRIED = {"conv_lstm in chunks", "pyramid_lstm in chunks"}  # forward, from the beginning on
HEARS_ALL = {"whole", "conv_lstm", "pyramid_lstm", "mean of the utterance"}


def predictor_of(encoder: Encoder) -> Predictor:
    tokenizer = WordTokenizer().fit(["one two three"])
    model = Seq2Seq(encoder, lambda memory_dim, vocab_size: nn.Linear(memory_dim, vocab_size), len(tokenizer))
    return Predictor(model.eval(), tokenizer, None, RecordingReader(RATE))


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("piece", [0.04, 0.31])
def test_pieces_give_the_memory_of_what_was_heard(name: str, piece: float) -> None:
    torch.manual_seed(0)
    encoder = ENCODERS[name]()
    predictor = predictor_of(encoder)
    assert (encoder.reach is None) == (name in HEARS_ALL)
    waveform = 0.1 * torch.randn(round(SECONDS * RATE))
    growing, size = GrowingMemory(predictor, torch.zeros(0)), round(piece * RATE)
    longest = 0
    go_on = predictor.model.go_on

    def counted(batch, *how):
        nonlocal longest
        longest = max(longest, batch.source.shape[1])
        return go_on(batch, *how)

    predictor.model.go_on = counted
    for end in range(size, len(waveform), size):
        growing.hear(waveform[end - size : end])
        found = growing.memory()
        with torch.no_grad():
            whole = encoder(waveform[None, :end], torch.tensor([end]))
        assert found.layout == whole.layout
        torch.testing.assert_close(found.mask, whole.mask)
        torch.testing.assert_close(found.states, whole.states, atol=1e-5, rtol=0)
    if encoder.reach is not None:  # no more is encoded anew than is needed
        past, future, cell, _ = encoder.reach
        assert longest <= past + future + 2 * cell + size
        assert longest < len(waveform)


@pytest.mark.parametrize("name", sorted(ENCODERS.keys() - HEARS_ALL))
def test_what_lies_beyond_its_reach_is_not_heard(name: str) -> None:
    torch.manual_seed(0)
    encoder = ENCODERS[name]().eval()
    past, future, cell, step = encoder.reach
    waveform = 0.1 * torch.randn(1, round(4 * SECONDS * RATE))
    lengths = torch.tensor([waveform.shape[1]])
    first = (past // cell + 2) * cell
    changed = waveform.clone()
    if name not in CARRIED:
        changed[:, : first - past] = 0.1 * torch.randn(first - past)
    changed[:, first + cell + future :] = 0.0
    with torch.no_grad():
        states, others = (encoder(each, lengths).states[0] for each in (waveform, changed))
    own = slice(first // step, (first + cell) // step)
    torch.testing.assert_close(states[own], others[own], atol=1e-5, rtol=0)
    assert not torch.allclose(states[own.stop + future // step + 1], others[own.stop + future // step + 1], atol=1e-4)
