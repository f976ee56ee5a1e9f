from __future__ import annotations

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from multimodal_attn.masking import length_mask
from multimodal_attn.models.encoders.bidirectional import BidirectionalLSTM


def test_equals_the_packed_lstm_in_values_and_gradients() -> None:
    layer = BidirectionalLSTM(5, 7).double()
    packed = torch.nn.LSTM(5, 7, batch_first=True, bidirectional=True).double()
    with torch.no_grad():
        for name, parameter in layer.forwards.named_parameters():
            getattr(packed, name).copy_(parameter)
        for name, parameter in layer.backwards.named_parameters():
            getattr(packed, f"{name}_reverse").copy_(parameter)
    lengths = torch.tensor([9, 4, 1, 6])
    x = torch.randn(4, 9, 5, dtype=torch.double)
    mine, reference = x.clone().requires_grad_(), x.clone().requires_grad_()
    mask = length_mask(lengths, 9)[..., None]
    output = layer(mine, lengths) * mask
    expected, _ = pad_packed_sequence(
        packed(pack_padded_sequence(reference, lengths, batch_first=True, enforce_sorted=False))[0], batch_first=True
    )
    torch.testing.assert_close(output, expected)
    probe = torch.randn_like(output)
    (output * probe).sum().backward()
    (expected * probe).sum().backward()
    torch.testing.assert_close(mine.grad, reference.grad)
    torch.testing.assert_close(layer.backwards.weight_hh_l0.grad, packed.weight_hh_l0_reverse.grad)
