"""What the page holds of one example: its source, each hypothesis with packed weights, and measures to sort by."""

from __future__ import annotations

from typing import Any

import numpy as np

from multimodal_attn.evaluation.attention.shape import sink_share
from multimodal_attn.inspection.charts import CHARTS
from multimodal_attn.inspection.page.packing import mean_number, pack_weights, rounded_number, rounded_numbers
from multimodal_attn.inspection.views import view_of
from multimodal_attn.measures import measure
from multimodal_attn.prediction.entropy import relative_entropy
from multimodal_attn.prediction.prediction import GIVEN, Prediction
from multimodal_attn.prediction.times.word_alignment import align_words

OTHERS_BYTES = 20_000  # an example, for the weights of all hypotheses but the best

MEASURES = {
    "score": "Score of the search",
    "wer": measure("wer").title,
    "rouge_l": measure("rouge_l").title,
    "entropy": measure("attention_entropy").title,
    "peak": measure("attention_peak").title,
    "hits": measure("pointing_accuracy").title,
    "sink": measure("attention_sink").title,
    "confidence": "Mean confidence",
    "late": f"{measure('onset_error_ms').title}, ms",
    "gate": "Mean gate",
    "words": "Number of words",
}
"""What examples can be sorted and filtered by: name in ``summarize`` -> name on the page."""


def describe_example(prediction: Prediction) -> dict[str, Any]:
    """Everything of one example.

    Hypotheses after the best stay out where their weights would make the page too large; ``found`` counts them all.

    Raises:
        ValueError: if nothing shows the prediction's layout.
    """
    hypotheses, room = [_hypothesis(prediction)], OTHERS_BYTES
    for other in prediction.others:
        hypothesis = _hypothesis(other)
        packed = hypothesis["weights"]
        room -= len(packed["data"]) + 12 * np.size(packed["scale"])
        if room < 0:
            break
        hypotheses.append(hypothesis)
    return view_of(prediction).source() | {"hypotheses": hypotheses, "found": 1 + len(prediction.others)}


def summarize(prediction: Prediction) -> dict[str, Any]:
    """What finding, sorting and filtering need to know without opening the example."""
    return {
        "key": prediction.key,
        "text": prediction.text,
        "references": list(prediction.references),
        "flags": list(prediction.flags),
        "view": view_of(prediction).name,
        "layers": prediction.self_attention
        and [[reads.part, [len(heads) for heads in reads.heads]] for reads in prediction.self_attention.reads],
        "measures": measures_of(prediction),
    }


def measures_of(prediction: Prediction) -> dict[str, float | None]:
    """Every one of ``MEASURES``, of the best text; None for what it does not have."""
    maps = _attention(prediction, prediction.word_weights)
    of_maps = {  # not of a model without attention
        "entropy": mean_number(relative_entropy(maps)),
        "peak": mean_number(maps.max(axis=-1, initial=0.0)),
        "sink": rounded_number(sink_share(maps), 3),
    }
    return (
        dict.fromkeys(MEASURES)
        | (of_maps if maps.any() else {})
        | {
            "score": rounded_number(prediction.score, 4),
            "gate": mean_number(prediction.gate),
            "confidence": mean_number(prediction.confidence),
            "words": len(prediction.word_tokens),
        }
        | view_of(prediction).measures()
    )


def word_diff(text: str, references: list[str]) -> dict[str, Any] | None:
    """How a text differs from the reference that it is closest to; None without references.

    ``pairs`` has, in order, the index of a written word and the word of the reference: either is None where the other
    has no partner.
    """
    written = text.split()
    diffs = []
    for index, reference in enumerate(references):
        true = reference.split()
        pairs = [(i, None if j is None else true[j]) for i, j in align_words(written, true)]
        edits = sum(i is None or written[i] != word for i, word in pairs)
        diffs.append((edits, index, pairs))
    if not diffs:
        return None
    edits, index, pairs = min(diffs)
    return {"reference": index, "edits": edits, "pairs": pairs}


def _attention(prediction: Prediction, maps: np.ndarray) -> np.ndarray:
    """The maps; empty where they are only drawn of times that were given, as those of a model without attention."""
    return np.zeros_like(maps) if prediction.time_source == GIVEN else np.nan_to_num(maps)


def _hypothesis(prediction: Prediction) -> dict[str, Any]:
    """One text with its attention, and the truth about its words."""
    view = view_of(prediction)
    maps = _attention(prediction, view.word_maps())  # (1 or N + 1, W, S)
    return {
        "text": prediction.text,
        "score": rounded_number(prediction.score, 4),
        "flags": list(prediction.flags),
        "tokens": prediction.tokens,
        "words": [[word, first, stop] for word, first, stop in prediction.word_tokens],
        "weights": pack_weights(prediction.weights),
        "entropy": rounded_numbers(relative_entropy(maps), 3),
        "peak": rounded_numbers(maps.max(axis=-1, initial=0.0), 5),
        "confidence": rounded_numbers(prediction.confidence, 3),
        "diff": word_diff(prediction.text, prediction.references),
        "charts": [chart._asdict() for make in CHARTS if (chart := make(prediction))],
    } | view.truth()
