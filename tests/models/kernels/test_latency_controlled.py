from __future__ import annotations

import torch

from multimodal_attn.models.kernels.latency_controlled import LatencyControlledLSTM

LENGTHS = torch.tensor([13, 4, 8, 1])


def layer(chunk: int) -> LatencyControlledLSTM:
    torch.manual_seed(0)
    return LatencyControlledLSTM(3, 5, chunk).double()


def test_the_second_lstm_begins_anew_in_each_chunk() -> None:
    one, x = layer(4), torch.randn(4, 13, 3, dtype=torch.double)
    found = one(x, LENGTHS)
    assert found.shape == (4, 13, 10)
    for row, length in enumerate(LENGTHS.tolist()):
        ahead = one.forwards(x[row : row + 1, :length])[0]
        chunks = x[row, :length].split(4)
        behind = torch.cat([one.backwards(chunk.flip(0)[None])[0][0].flip(0) for chunk in chunks])
        torch.testing.assert_close(found[row, :length], torch.cat([ahead[0], behind], dim=-1))


def test_one_chunk_is_the_whole() -> None:
    one, x = layer(20), torch.randn(4, 13, 3, dtype=torch.double)
    mask = (torch.arange(13) < LENGTHS[:, None])[..., None]
    torch.testing.assert_close(one(x, LENGTHS) * mask, super(LatencyControlledLSTM, one).forward(x, LENGTHS) * mask)


def test_it_goes_on_where_it_was() -> None:
    one, x = layer(4), torch.randn(1, 13, 3, dtype=torch.double)
    whole = one(x, torch.tensor([13]))
    state = None
    for begin, done in ((0, 4), (4, 8), (12, 0)):
        rest = x[:, begin:]
        found, state = one.go_on(rest, torch.tensor([rest.shape[1]]), state, done)
        torch.testing.assert_close(found, whole[:, begin:])


def test_gradients_reach_both() -> None:
    one, x = layer(4), torch.randn(4, 13, 3, dtype=torch.double, requires_grad=True)
    one(x, LENGTHS)[:, 0].sum().backward()
    assert x.grad is not None
    assert x.grad[0, :4].abs().min() > 0
    assert not x.grad[0, 4:].any()  # the first step hears its own chunk
