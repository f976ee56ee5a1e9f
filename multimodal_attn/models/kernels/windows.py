"""Windows over the last axis, as convolutions see it, and back."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def windows(x: Tensor, before: int, after: int) -> Tensor:
    """Of every position what lies around it, 0 beyond the ends.

    Shapes:
        x: (..., S). Returns (..., S, before + 1 + after), a view of a padded copy.
    """
    return functional.pad(x, (before, after)).unfold(-1, before + 1 + after, 1)


def add_windows(x: Tensor, before: int) -> Tensor:
    """Adds what every window gives to each of its positions: the gradient of ``windows``.

    Shapes:
        x: (n, K, S, W), whose windows begin ``before`` positions before their own. Returns (n, K, S).
    """
    n, rows, size, width = x.shape
    # Position j gets number i of the window at j - i + before. With the windows reversed and width - 1 of zeros around
    # them, these lie width + 1 numbers apart.
    padded = functional.pad(x.flip(-1), (0, 0, width - 1, width - 1)).contiguous()
    number = size + 2 * (width - 1)
    strides = (rows * number * width, number * width, width, width + 1)
    summed = padded.as_strided((n, rows, size + width - 1, width), strides).sum(-1)
    return summed[..., before : before + size]
