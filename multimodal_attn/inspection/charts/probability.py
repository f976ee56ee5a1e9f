"""How probable each token of a given text is."""

from __future__ import annotations

import numpy as np

from multimodal_attn.inspection.charts.chart import Chart
from multimodal_attn.inspection.page.packing import rounded_numbers
from multimodal_attn.prediction.prediction import Prediction


def probability(prediction: Prediction) -> Chart | None:
    """A bar for each token; None for a text that was written."""
    if not prediction.given:
        return None
    about = "how probable each token is after those before it, from 0 to 1. A low bar is a surprise."
    return Chart("bars", "Probability", about, rounded_numbers(np.exp(prediction.log_probs).tolist(), 3))
