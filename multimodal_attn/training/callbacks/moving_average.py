"""An average of the weights over the last steps, which is what is validated and saved."""

from __future__ import annotations

from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

from multimodal_attn.ranges import Share


class MovingAverage(WeightAveraging):
    """Exponential moving average of the weights, over fewer steps as long as there have been few.

    At step *n*, the average keeps the smaller of ``decay`` and (1 + n) / (10 + n) of itself, as in TensorFlow's
    ``ExponentialMovingAverage``. With ``decay`` alone, a run of 400 steps at 0.998 would end with 45 % of the weights
    that it began with.

    Args:
        decay: what the average keeps in a step at the end: 0.998 is an average over some 500 steps.
    """

    def __init__(self, decay: Share) -> None:
        super().__init__(avg_fn=self._average)
        self.decay = decay

    def _average(self, average: Tensor, value: Tensor, step: Tensor | int) -> Tensor:
        """The average after a step, shaped as the weights are; of whole numbers, such as counters, the last."""
        if not average.is_floating_point():
            return value
        step = int(step)
        # lerp leaves what does not change as it is, to the last bit.
        return average.lerp(value, 1 - min(self.decay, (1 + step) / (10 + step)))
