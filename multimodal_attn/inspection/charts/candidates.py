"""The likeliest words in each gap of a text, or at each word of one that was read."""

from __future__ import annotations

from multimodal_attn.inspection.charts.chart import Chart
from multimodal_attn.inspection.page.packing import rounded_number
from multimodal_attn.prediction.prediction import Prediction


def candidates(prediction: Prediction) -> Chart | None:
    """A row of words for each gap or word; None for a text that was written."""
    if not prediction.candidates:
        return None
    about = (
        "the likeliest words in each gap with their probabilities, the words hidden and the rest of the text read. The"
        " word that truly stands there is framed."
    )
    true = prediction.references[0].split() if prediction.references else [None] * len(prediction.candidates)
    if prediction.given:
        about = (
            "what was likeliest at each word after the words before it, with probabilities. What stands there is"
            " framed."
        )
        true = [prediction.tokens[first] for _, first, _ in prediction.word_tokens]
    rows = [
        {"true": word, "words": [[name, rounded_number(probability, 3)] for name, probability in offered]}
        for word, offered in zip(true, prediction.candidates, strict=True)
    ]
    return Chart("candidates", "Candidates", about, rows)
