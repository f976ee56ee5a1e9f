"""What the conformer and the transformer share, and what each adds."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from multimodal_attn.models.encoders.speech.conformer import Conformer
from multimodal_attn.models.encoders.speech.conv_subsampling import ConvSubsampling
from multimodal_attn.models.encoders.speech.log_mel import LogMel
from multimodal_attn.models.encoders.speech.transformer import Transformer


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_step_is_centred_on_the_frames_it_stands_for(factor: int) -> None:
    module = ConvSubsampling(num_mels=3, dim=1, factor=factor, channels=1)
    for parameter in module.parameters():
        nn.init.constant_(parameter, float(parameter.ndim > 1))  # sums, without biases
    num_frames = 80
    # Every row has a single frame that is not silent; what it adds to each step is that step's sensitivity to it.
    frames = torch.eye(num_frames)[..., None].expand(-1, -1, 3)
    steps, lengths = module(frames, torch.full((num_frames,), num_frames))
    assert lengths.tolist() == [num_frames // factor] * num_frames
    middle = num_frames // factor // 2
    sensitivity = steps[:, middle, 0]
    centre = (sensitivity * torch.arange(num_frames)).sum() / sensitivity.sum()
    torch.testing.assert_close(centre, torch.tensor(factor * middle + (factor - 1) / 2))


def test_number_of_steps_is_rounded_up() -> None:
    lengths = torch.tensor([1, 4, 5, 8, 9])
    steps, numbers = ConvSubsampling(num_mels=8, dim=6, factor=4)(torch.randn(5, 9, 8), lengths)
    assert numbers.tolist() == [1, 1, 2, 2, 3]
    assert steps.shape == (5, 3, 6)


@pytest.mark.parametrize("encoder", [Conformer, Transformer])
def test_batch_mates_do_not_matter_in_training_either(encoder: type[Conformer] | type[Transformer]) -> None:
    """Batch norm, or a group norm over time, would pass the contract of evaluation mode and fail here."""
    model = encoder(LogMel(num_mels=10), hidden_dim=16, num_layers=2, num_heads=2, dropout=0.0).train()
    model.front_end.eval()
    waveforms, lengths = torch.randn(2, 16000), torch.tensor([7000, 16000])
    waveforms[0, 7000:] = 0
    together = model(waveforms, lengths)
    alone = model(waveforms[:1, :7000], lengths[:1])
    torch.testing.assert_close(alone.states[0], together.states[0, : alone.states.shape[1]], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("encoder", [Conformer, Transformer])
def test_order_of_time_matters(encoder: type[Conformer] | type[Transformer]) -> None:
    model = encoder(LogMel(num_mels=10), hidden_dim=16, num_layers=1, num_heads=2).eval()
    model.subsample = _Pass()  # steps without any trace of their neighbours
    steps = torch.randn(1, 5, 16)
    model.front_end = _Give(steps)
    forwards = model(torch.zeros(1, 1), torch.tensor([5])).states
    model.front_end = _Give(steps.flip(1))
    assert not torch.allclose(forwards, model(torch.zeros(1, 1), torch.tensor([5])).states.flip(1), atol=1e-3)


class _Pass(nn.Module):
    def forward(self, frames: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return frames, lengths


class _Give(nn.Module):
    def __init__(self, frames: torch.Tensor) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, waveforms: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.frames, lengths


@pytest.mark.parametrize(
    ("encoder", "arguments", "message"),
    [
        (Conformer, {"hidden_dim": 20, "num_heads": 4}, r"encoder.hidden_dim: 20; expected a multiple of 2 \*"),
        (Transformer, {"hidden_dim": 30, "num_heads": 4}, r"encoder.hidden_dim: 30; expected a multiple of encoder"),
    ],
)
def test_widths_that_do_not_fit_are_named(encoder: type, arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoder(LogMel(num_mels=10), **arguments)
