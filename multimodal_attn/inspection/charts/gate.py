"""How far the decoder let attention through at each token."""

from __future__ import annotations

from multimodal_attn.inspection.charts.chart import Chart
from multimodal_attn.inspection.page.packing import rounded_numbers
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.types import COPYING

_NAMES = {"beta": "Gate β", "1 - sentinel": "Gate (1 − sentinel)", COPYING: "Probability of copying"}


def gate(prediction: Prediction) -> Chart | None:
    """A bar for each token; None for a decoder without a gate."""
    if not prediction.gate:
        return None
    if prediction.gate_name == COPYING:
        about = (
            "the probability that each token was copied from the source, from 0 (written from the vocabulary) to 1"
            " (copied). Words that came from there are underlined; point at one to see its place in the source."
        )
        return Chart("bars", gate_title(prediction), about, rounded_numbers(prediction.gate, 3))
    about = (
        "how much of what attention read the decoder used for each token, from 0 (none: the word came from the words"
        " before it) to 1 (all). Where the bar is low, the map says little about the word."
    )
    return Chart("bars", gate_title(prediction), about, rounded_numbers(prediction.gate, 3))


def gate_title(prediction: Prediction) -> str:
    """What the gate of a decoder is called on the page."""
    name = prediction.gate_name or "gate"
    return _NAMES.get(name, name[:1].upper() + name[1:])
