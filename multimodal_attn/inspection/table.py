"""Examples as a table: the picture of the attention, the texts, the measures that the page sorts by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multimodal_attn.inspection.page.data import MEASURES, measures_of
from multimodal_attn.inspection.views import view_of
from multimodal_attn.prediction.prediction import Prediction


def example_table(predictions: Sequence[Prediction], limit: float) -> tuple[list[str], list[list[Any]]]:
    """Columns, and a row for each prediction; measures that no prediction has get no column.

    Args:
        predictions: of one run.
        limit: where every picture's color scale ends.
    """
    columns = ["key", "attention", "recording", "text", "references", "flags", *MEASURES]
    rows = []
    for prediction in predictions:
        view, measures = view_of(prediction), measures_of(prediction)
        texts = [prediction.text, "\n".join(prediction.references), ", ".join(prediction.flags)]
        rows.append([prediction.key, view.draw(limit), view.sound(), *texts, *(measures[name] for name in MEASURES)])
    told = [index for index in range(len(columns)) if any(row[index] is not None for row in rows)]
    return [columns[index] for index in told], [[row[index] for index in told] for row in rows]
