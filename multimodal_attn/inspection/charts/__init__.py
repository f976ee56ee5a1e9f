"""Charts under the maps of an example.

A new one is a function of a prediction in ``CHARTS``, and the script beside this file that draws what it returns;
``bars`` serves whatever has one number for each token, or several shares.
"""

from __future__ import annotations

from collections.abc import Callable

from multimodal_attn.inspection.charts.candidates import candidates
from multimodal_attn.inspection.charts.chart import Chart
from multimodal_attn.inspection.charts.gate import gate
from multimodal_attn.inspection.charts.probability import probability
from multimodal_attn.inspection.charts.streams import streams
from multimodal_attn.prediction.prediction import Prediction

CHARTS: tuple[Callable[[Prediction], Chart | None], ...] = (gate, streams, probability, candidates)
"""In the order in which they stand on the page; each gives None for a prediction that it has nothing to say of."""
