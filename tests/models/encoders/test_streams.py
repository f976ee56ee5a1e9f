from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from multimodal_attn.models.attention import DotAttention
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.models.encoders.pictures.image_conv import ImageConv
from multimodal_attn.models.encoders.streams import Streams
from multimodal_attn.types import Grid, Memory, Timeline


def conv(size: int = 32, strides: tuple[int, ...] = (4,), channels: int = 6) -> ImageConv:
    return ImageConv(size, [channels] * len(strides), list(strides), dim=channels)


class Clock(Encoder):
    """A state for every so many samples: their mean."""

    dim = 1

    def __init__(self, samples: int) -> None:
        super().__init__()
        self.samples, self.layout = samples, Timeline(samples / 1000)

    def forward(self, source: Tensor, lengths: Tensor) -> Memory:
        steps = source.unflatten(1, (-1, self.samples)).mean(2, keepdim=True)
        mask = torch.arange(steps.shape[1]) < (lengths // self.samples)[:, None]
        return Memory(steps, mask, self.layout)


def bare(streams: Streams) -> Streams:
    """Without normalization and projection, so that states can be read."""
    for name in streams.names:
        streams.project[name] = nn.Identity()
    streams.norm, streams.stream_names = nn.Identity(), ()  # type: ignore[assignment]
    return streams.eval()


def test_pictures_meet_on_the_finest_grid_or_the_one_that_is_told() -> None:
    pictures = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    coarse, fine = conv(strides=(4, 2)), conv(strides=(4,))
    for grid, side in ((None, 8), (4, 4), (6, 6)):
        streams = Streams({"coarse": coarse, "fine": fine}, dim=10, grid=grid)
        memory = streams.eval()(pictures, torch.ones(2))
        assert memory.layout == streams.layout == Grid(side, side)
        assert memory.states.shape == (2, side * side, 10)
    summed = bare(Streams({"coarse": coarse, "fine": fine}, dim=6, grid=4))(pictures, torch.ones(2)).states
    expected = coarse(pictures, torch.ones(2)).states
    cells = fine(pictures, torch.ones(2)).states.transpose(1, 2).unflatten(2, (8, 8))
    smaller = nn.functional.interpolate(cells, (4, 4), mode="bilinear", antialias=True).flatten(2).transpose(1, 2)
    torch.testing.assert_close(summed, expected + smaller)


def test_recordings_meet_on_the_fastest_clock() -> None:
    streams = bare(Streams({"slow": Clock(40), "fast": Clock(10)}, dim=1))
    source = torch.arange(160.0).expand(2, -1)
    memory = streams(source, torch.tensor([160, 80]))
    assert memory.layout == Timeline(0.01)
    assert memory.mask.sum(1).tolist() == [16, 8]
    slow = [40 * (step // 4) + 19.5 for step in range(16)]
    fast = [10 * step + 4.5 for step in range(16)]
    torch.testing.assert_close(memory.states[0, :, 0], torch.tensor(slow) + torch.tensor(fast))
    assert memory.states[1, 8:].abs().sum() == 0


def test_what_comes_from_one_and_where_from_another() -> None:
    pictures = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    streams = Streams({"what": conv(strides=(4, 2)), "where": conv()}, dim=12, keys=["where"], values=["what"]).eval()
    memory = streams(pictures, torch.ones(2))
    assert memory.keys is not None
    attention = DotAttention(query_dim=4, memory_dim=12)

    def looked(memory: Memory) -> tuple[Tensor, Tensor]:
        step = attention(torch.ones(2, 1, 4), attention.project(memory), memory, None)
        return step.weights, step.context

    weights, context = looked(memory)
    with torch.no_grad():
        for parameter in streams.project["what"].parameters():
            parameter.add_(torch.randn_like(parameter))
    other_weights, other_context = looked(streams(pictures, torch.ones(2)))
    torch.testing.assert_close(other_weights, weights)
    assert (other_context - context).abs().max() > 1e-3
    chosen = memory.select(torch.tensor([1]))
    assert chosen.keys is not None
    torch.testing.assert_close(chosen.keys[0], memory.keys[1])


def test_training_leaves_out_streams_but_never_all() -> None:
    torch.manual_seed(0)
    streams = Streams({"a": conv(), "b": conv()}, dim=4, stream_dropout=0.9)
    kept = streams._kept(1000, torch.device("cpu"))
    assert kept.any(1).all()
    assert (kept.sum(1) == 1).float().mean() > 0.8
    pictures = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    streams.eval()
    first, second = streams(pictures, torch.ones(2)).states, streams(pictures, torch.ones(2)).states
    assert torch.equal(first, second)


def test_what_does_not_go_together_is_named() -> None:
    with pytest.raises(ValueError, match=r"encoder.streams: none"):
        Streams({})
    with pytest.raises(ValueError, match=r"encoder.keys: 'c'; expected some of a, b"):
        Streams({"a": conv(), "b": conv()}, keys=["c"])
    with pytest.raises(ValueError, match=r"encoder.streams.b: neither in encoder.keys nor in encoder.values"):
        Streams({"a": conv(), "b": conv()}, keys=["a"], values=["a"])
    with pytest.raises(ValueError, match=r"encoder.streams: memories of Grid, Timeline"):
        Streams({"a": conv(), "b": Clock(10)})
    with pytest.raises(ValueError, match=r"encoder.grid: 7; expected null"):
        Streams({"a": Clock(10)}, grid=7)


def test_shares_say_what_each_stream_adds_to_a_state() -> None:
    pictures = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    streams = Streams({"a": conv(), "b": conv(), "c": conv()}, dim=6, values=["a", "b"], keys=["b", "c"]).eval()
    assert streams.stream_names == ("a", "b")
    nn.init.normal_(streams.norm.weight)
    memory = streams(pictures, torch.ones(2))
    assert memory.shares is not None
    assert memory.shares.shape == (2, 64, 2)
    torch.testing.assert_close(memory.shares.sum(-1), torch.ones(2, 64))
    torch.testing.assert_close(memory.select(slice(1)).shares, memory.shares[:1])
    # What stays of a state without stream a, measured along the state: its share is 1 less what remains.
    a, b = (streams.project[name](streams.streams[name](pictures, torch.ones(2)).states) for name in "ab")
    centered = (a + b) - (a + b).mean(-1, keepdim=True)
    scale = centered.square().mean(-1, keepdim=True).add(streams.norm.eps).sqrt()
    without = (b - b.mean(-1, keepdim=True)) / scale * streams.norm.weight
    along = (without * memory.states).sum(-1) / memory.states.square().sum(-1)
    torch.testing.assert_close(memory.shares[..., 0], 1 - along, rtol=1e-4, atol=1e-4)
    nn.init.zeros_(streams.project["b"][1].weight)
    nn.init.zeros_(streams.project["b"][1].bias)
    alone = streams(pictures, torch.ones(2)).shares
    torch.testing.assert_close(alone, torch.tensor([1.0, 0.0]).expand(2, 64, 2))
    assert streams.train()(pictures, torch.ones(2)).shares is None
    assert Streams({"a": conv()}, dim=6).eval()(pictures, torch.ones(2)).shares is None
