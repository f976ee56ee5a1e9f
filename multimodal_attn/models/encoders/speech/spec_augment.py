"""Masks over time and frequency of log-mel frames (Park et al. 2019), adapted to length (Park et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from multimodal_attn.ranges import Share, WholeNumber


class SpecAugment(nn.Module):
    """Zeroes random stretches of real frames and random bands of bins.

    Unlike ``torchaudio.transforms.SpecAugment``, masks are placed within each recording's own length, so that a short
    one in a padded batch is masked as much as it would be alone.

    Args:
        num_time_masks: per recording.
        time_masks_per_frame: in its place, the number of masks as a share of the frames (p_M of Park et al. 2020,
            section 3.2, who take 0.04), 20 at most; None for ``num_time_masks``.
        time_mask_frames: the longest mask; None for no limit but the next.
        time_mask_share: no mask covers more than this share of the frames (p_S there, 0.04).
        num_mel_masks, mel_mask_bins: per recording, and the widest.
    """

    max_time_masks = 20

    def __init__(
        self,
        num_time_masks: WholeNumber = 0,
        time_masks_per_frame: Share | None = None,
        time_mask_frames: WholeNumber | None = 20,
        time_mask_share: Share = 0.2,
        num_mel_masks: WholeNumber = 0,
        mel_mask_bins: WholeNumber = 15,
    ) -> None:
        super().__init__()
        self.num_time_masks, self.time_masks_per_frame = num_time_masks, time_masks_per_frame
        self.time_mask_frames, self.time_mask_share = time_mask_frames, time_mask_share
        self.num_mel_masks, self.mel_mask_bins = num_mel_masks, mel_mask_bins

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Masks frames (B, frames, F), of which ``lengths`` (B,) are real."""
        longest = (lengths * self.time_mask_share).long()
        if self.time_mask_frames is not None:
            longest = longest.clamp(max=self.time_mask_frames)
        numbers = torch.full_like(lengths, self.num_time_masks)
        if self.time_masks_per_frame is not None:
            numbers = (lengths * self.time_masks_per_frame).long().clamp(max=self.max_time_masks)
        bins = torch.full_like(lengths, frames.shape[2])
        widest = bins.clamp(max=self.mel_mask_bins)
        hidden_time = _stretches(frames.shape[1], lengths, longest, numbers)
        hidden_bins = _stretches(frames.shape[2], bins, widest, torch.full_like(lengths, self.num_mel_masks))
        return frames.masked_fill(hidden_time[:, :, None] | hidden_bins[:, None], 0.0)


def _stretches(size: int, lengths: Tensor, longest: Tensor, numbers: Tensor) -> Tensor:
    """Where ``numbers`` random stretches of 0 to ``longest`` positions lie within ``lengths``.

    Shapes:
        lengths, longest, numbers: (B,). Returns (B, size) bool.
    """
    count = int(numbers.max())
    draws = torch.rand(2, len(lengths), count, device=lengths.device)
    widths = (draws[0] * (longest[:, None] + 1)).long()
    starts = (draws[1] * (lengths[:, None] - widths + 1)).long()
    positions = torch.arange(size, device=lengths.device)
    inside = (positions >= starts[..., None]) & (positions < (starts + widths)[..., None])  # (B, count, size)
    used = torch.arange(count, device=lengths.device) < numbers[:, None]
    return (inside & used[..., None]).any(1)
