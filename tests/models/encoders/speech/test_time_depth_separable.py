"""The convolutional listener: how far a step hears."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from multimodal_attn.models.encoders.speech.time_depth_separable import TimeDepthSeparable

FRAMES, MELS = 64, 6


class Frames(nn.Module):
    """Stands in for the front end: gives one example's frames, whatever the recording."""

    num_mels, hop_seconds = MELS, 0.01

    def __init__(self, frames: Tensor) -> None:
        super().__init__()
        self.frames = frames

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self.frames, torch.tensor([self.frames.shape[1]])


def listener(frames: Tensor, **settings: object) -> TimeDepthSeparable:
    torch.manual_seed(0)
    shape: dict[str, object] = {"channels": [2, 3], "num_blocks": [1, 1], "strides": [2, 2], "kernel_size": 3}
    encoder = TimeDepthSeparable(Frames(frames), **{**shape, **settings}, hidden_dim=8)  # type: ignore[arg-type]
    return encoder.eval()


def heard_at(frame: int, **settings: object) -> list[int]:
    """The memory steps that a change of one frame changes."""
    frames = torch.randn(1, FRAMES, MELS)
    changed = frames.clone()
    changed[0, frame] += 1
    states = [listener(x, **settings)(torch.zeros(1, 1), torch.ones(1)).states for x in (frames, changed)]
    return (states[0] != states[1]).any(-1)[0].nonzero()[:, 0].tolist()


def test_a_frame_is_heard_within_reach_only() -> None:
    # Either side of its own four frames: one frame, a step of two frames twice, a step of four.
    reach = 1 + 2 + 2 + 4
    for frame in (20, 21, 22, 23, 30):
        expected = [s for s in range(FRAMES // 4) if 4 * s - reach <= frame <= 4 * s + 3 + reach]
        assert heard_at(frame) == expected, frame


def test_the_reach_is_the_same_to_either_side() -> None:
    steps = heard_at(22, strides=[1, 1], kernel_size=5)
    assert steps == list(range(22 - 8, 22 + 9))


def test_steps_hold_the_frames_that_their_time_says() -> None:
    memory = listener(torch.randn(1, FRAMES - 1, MELS))(torch.zeros(1, 1), torch.ones(1))
    assert memory.layout.step_seconds == pytest.approx(0.04)
    assert memory.mask.sum() == FRAMES // 4


@pytest.mark.parametrize("settings", [{"num_blocks": [1]}, {"strides": [2, 2, 1]}])
def test_settings_that_do_not_fit_are_named(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"encoder.*{next(iter(settings))}"):
        listener(torch.zeros(1, FRAMES, MELS), **settings)


def test_the_ends_sound_as_if_the_silence_there_went_on() -> None:
    frames = torch.randn(1, FRAMES, MELS)
    frames[:, :12], frames[:, -12:] = frames[:, :1], frames[:, -1:]
    longer = torch.cat([frames[:, :1].expand(-1, 8, -1), frames, frames[:, -1:].expand(-1, 8, -1)], dim=1)
    states, of_longer = (listener(x)(torch.zeros(1, 1), torch.ones(1)).states for x in (frames, longer))
    torch.testing.assert_close(states, of_longer[:, 2:-2])
