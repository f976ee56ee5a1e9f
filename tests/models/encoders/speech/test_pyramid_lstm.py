from __future__ import annotations

import pytest
import torch

from multimodal_attn.models.encoders.speech.log_mel import LogMel
from multimodal_attn.models.encoders.speech.pyramid_lstm import PyramidLSTM


@pytest.mark.parametrize("layer_norm", [True, False])
def test_layer_norm_is_an_option(layer_norm: bool) -> None:
    encoder = PyramidLSTM(LogMel(num_mels=10), 8, [2, 1], layer_norm=layer_norm, dropout=0.0).eval()
    memory = encoder(torch.randn(2, 16000), torch.tensor([16000, 9000]))
    spread = memory.states[memory.mask].std(-1, unbiased=False)
    # Fresh layer norm gives every step a spread of one; an LSTM's output stays well below.
    assert bool((spread > 0.9).all()) is layer_norm
