"""Examples as a table: the picture of the attention, the texts, the measures that the page sorts by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from multimodal_attn.inspection.figures.figure import draw
from multimodal_attn.inspection.page.data import MEASURES, describe_example, summarise
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.types import Timeline


class Sound(NamedTuple):
    """A cell to listen to: a mono waveform (L,) float32 in [-1, 1], and its rate in Hz."""

    waveform: np.ndarray
    sample_rate: int


def example_table(records: Sequence[Prediction], limit: float) -> tuple[list[str], list[list[Any]]]:
    """Columns, and a row for each record; measures that no record has get no column.

    Args:
        records: of one run.
        limit: the attention weight at which every picture's scale ends.
    """
    columns = ["key", "attention", "recording", "text", "references", "flags", *MEASURES]
    rows = []
    for record in records:
        measures = summarise(record, describe_example(record))["measures"]
        sound = Sound(record.source, record.sample_rate) if isinstance(record.layout, Timeline) else None
        texts = [record.text, "\n".join(record.references), ", ".join(record.flags)]
        rows.append([record.key, draw(record, limit), sound, *texts, *(measures[name] for name in MEASURES)])
    told = [index for index in range(len(columns)) if any(row[index] is not None for row in rows)]
    return [columns[index] for index in told], [[row[index] for index in told] for row in rows]
