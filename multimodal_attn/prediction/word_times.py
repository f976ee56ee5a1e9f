"""The words of a hypothesis with their times, by attention or by CTC."""

from __future__ import annotations

from typing import NamedTuple

from multimodal_attn.prediction.checkpoint import Run
from multimodal_attn.prediction.ctc_alignment import ctc_times
from multimodal_attn.prediction.timing import onset_times
from multimodal_attn.prediction.transcript import Word
from multimodal_attn.types import Hypothesis, Memory, Span, Timeline

SOURCES = ("attention", "ctc")


class TimedWords(NamedTuple):
    """Words with their times.

    Attributes:
        words: of the hypothesis.
        source: of the times: "attention" also where CTC was asked and has no path for the text.
    """

    words: list[Word]
    source: str


def check_source(source: str, run: Run) -> None:
    """Refuses a source of word times that a run does not have.

    Raises:
        ValueError: for an unknown source, or CTC without a CTC head.
    """
    if source not in SOURCES:
        raise ValueError(f"word_times: {source!r}; expected {' or '.join(SOURCES)}")
    if source == "ctc" and (run.module.model.ctc_head is None or run.module.model.encoder.reads != "recording"):
        raise ValueError(
            f"word_times: ctc; '{run.folder}' was trained without CTC: expected attention, or a run of speech with"
            " objective=[cross_entropy,ctc]"
        )


def timed_words(run: Run, memory: Memory, index: int, hypothesis: Hypothesis, source: str) -> TimedWords:
    """The words of a hypothesis with their times.

    Args:
        run: that wrote it.
        memory: with a ``Timeline``.
        index: of the hypothesis' source in ``memory``.
        hypothesis: of the best path.
        source: "attention" or "ctc".
    """
    assert isinstance(memory.layout, Timeline), "only recordings have word times"
    tokenizer = run.module.tokenizer
    texts = tokenizer.decode(hypothesis.tokens).split()
    spans = ctc_spans(run, memory, index, hypothesis) if source == "ctc" else None
    used = "attention" if spans is None else "ctc"
    if spans is None:
        real = int(memory.mask[index].sum())
        weights = hypothesis.weights[..., :real].mean(dim=1).float().cpu().numpy()
        spans = onset_times(weights, memory.layout, tokenizer.word_spans(hypothesis.tokens))
    return TimedWords([Word(text, *span) for text, span in zip(texts, spans, strict=True)], used)


def ctc_spans(run: Run, memory: Memory, index: int, hypothesis: Hypothesis) -> list[Span] | None:
    """When CTC hears each word; None without a CTC head or a timeline, or where CTC has no path for the text."""
    model, tokenizer = run.module.model, run.module.tokenizer
    if model.ctc_head is None or not isinstance(memory.layout, Timeline):
        return None
    source = memory.select(slice(index, index + 1))
    logits = model.ctc_logits(source)[0, : int(source.mask.sum())]
    return ctc_times(logits, memory.layout, hypothesis.tokens, tokenizer.word_spans(hypothesis.tokens))
