from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from multimodal_attn.masking import length_mask
from multimodal_attn.models.kernels import bidirectional
from multimodal_attn.models.kernels.bidirectional import BidirectionalLSTM, leave_in_quarters


@pytest.mark.parametrize("least_saved", [0.1, 2.0])  # with sources that leave, and all to the end
@pytest.mark.parametrize("lengths", [[9, 4, 1, 6], [2, 9, 3, 9, 0, 5, 5, 1, 7]])
def test_equals_the_packed_lstm_in_values_and_gradients(
    lengths: list[int], least_saved: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bidirectional, "_LEAST_SAVED", least_saved)
    check(torch.tensor(lengths).clamp(min=1))


def check(lengths: torch.Tensor) -> None:
    layer = BidirectionalLSTM(5, 7).double()
    packed = torch.nn.LSTM(5, 7, batch_first=True, bidirectional=True).double()
    with torch.no_grad():
        for name, parameter in layer.forwards.named_parameters():
            getattr(packed, name).copy_(parameter)
        for name, parameter in layer.backwards.named_parameters():
            getattr(packed, f"{name}_reverse").copy_(parameter)
    x = torch.randn(len(lengths), 9, 5, dtype=torch.double)
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


def test_sources_leave_in_quarters_where_that_saves_enough() -> None:
    assert leave_in_quarters([9, 8, 6, 5, 3, 3, 2, 0], 10) == [(0, 2, 8), (2, 3, 6), (3, 6, 4), (6, 10, 2)]
    assert leave_in_quarters([9, 3, 3, 3], 9) == [(0, 3, 4), (3, 9, 1)]
    assert leave_in_quarters([10, 10, 10, 9], 10) == [(0, 10, 4)]
    assert leave_in_quarters([7], 9) == [(0, 9, 1)]
