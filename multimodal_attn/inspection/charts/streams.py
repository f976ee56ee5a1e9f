"""Which of an encoder's streams each token drew on."""

from __future__ import annotations

import numpy as np

from multimodal_attn.inspection.charts.chart import Chart
from multimodal_attn.inspection.page.packing import rounded_numbers
from multimodal_attn.prediction.prediction import Prediction


def streams(prediction: Prediction) -> Chart | None:
    """A stack of shares for each token; None for an encoder of a single stream."""
    if not prediction.streams:
        return None
    about = (
        "how much each of the encoder's streams added to what the token read. Streams may cancel each other: a share"
        " below 0 is drawn as 0."
    )
    shares = {name: rounded_numbers(np.clip(share, 0, 1), 3) for name, share in prediction.streams.items()}
    return Chart("bars", "Drawn from", about, shares)
