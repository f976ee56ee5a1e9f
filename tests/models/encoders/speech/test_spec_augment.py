from __future__ import annotations

import pytest
import torch

from multimodal_attn.models.encoders.speech.spec_augment import SpecAugment


def masked(frames: torch.Tensor) -> torch.Tensor:
    """Which frames and which bins are zero throughout."""
    return frames == 0


def test_masks_stay_within_each_recording() -> None:
    lengths = torch.tensor([40, 200])
    augment = SpecAugment(num_time_masks=1, time_mask_frames=30, time_mask_share=0.5)
    hidden = torch.zeros(2, 200)
    for _ in range(400):
        hidden += masked(augment(torch.ones(2, 200, 5), lengths))[..., 0]
    assert not hidden[0, 40:].any()
    # Placed over the padded length, four of five masks would miss the short recording.
    assert hidden[0].sum() / 400 == pytest.approx(10, rel=0.15)  # widths of 0 to 20
    assert hidden[1].sum() / 400 == pytest.approx(15, rel=0.15)  # widths of 0 to 30


def test_number_of_masks_follows_the_length() -> None:
    augment = SpecAugment(time_masks_per_frame=0.04, time_mask_frames=None, time_mask_share=0.04)
    lengths = torch.tensor([24, 250, 1000])

    def covered(draws: int) -> torch.Tensor:
        total = torch.zeros(3)
        for _ in range(draws):
            total += masked(augment(torch.ones(3, 1000, 1), lengths))[..., 0].sum(1)
        return total / draws

    share = covered(150)
    assert share[0] == 0  # 0.04 * 24 is less than one mask
    assert 30 < share[1] < 50  # ten masks of 0 to 10 frames, which may overlap
    assert 250 < share[2] < 400  # 20 masks at most, of 0 to 40 frames


def test_bands_of_bins_are_masked_throughout() -> None:
    augment = SpecAugment(num_mel_masks=2, mel_mask_bins=4)
    widths = set()
    for _ in range(60):
        hidden = masked(augment(torch.ones(1, 30, 40), torch.tensor([30])))[0]
        assert (hidden.all(0) == hidden.any(0)).all()
        widths.add(int(hidden[0].sum()))
    assert max(widths) > 4
    assert max(widths) <= 8


def test_a_seed_gives_the_same_masks() -> None:
    augment = SpecAugment(num_time_masks=2, num_mel_masks=2)
    results = []
    for _ in range(2):
        torch.manual_seed(5)
        results.append(augment(torch.ones(3, 100, 40), torch.tensor([100, 50, 80])))
    assert torch.equal(*results)
    assert (results[0] == 0).any()
