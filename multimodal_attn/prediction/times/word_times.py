"""When the words of a hypothesis are heard, by attention or by CTC."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.prediction.times.boundaries import attention_times
from multimodal_attn.prediction.times.ctc_alignment import ctc_times
from multimodal_attn.types import Hypothesis, Memory, Span, Timeline

TIME_SOURCES = ("attention", "ctc")


class WordTimes(NamedTuple):
    """The times of a hypothesis' words.

    Attributes:
        spans: one for each word; none for sources that are no recordings.
        source: of the times: "attention" also where CTC was asked and has no path for the text.
    """

    spans: tuple[Span, ...]
    source: str

    def shifted(self, seconds: float) -> WordTimes:
        """The same, so many seconds later."""
        return WordTimes(tuple(span.shifted(seconds) for span in self.spans), self.source)


NO_TIMES = WordTimes((), "attention")
"""Of sources that are no recordings."""


def check_time_source(source: str, model: Seq2Seq, name: str) -> None:
    """Refuses a source of word times that a model does not have; ``name`` is that of its run.

    Raises:
        ValueError: for an unknown source, or CTC without a CTC head.
    """
    if source not in TIME_SOURCES:
        raise ValueError(f"word_times: {source!r}; expected {' or '.join(map(repr, TIME_SOURCES))}")
    if source == "ctc" and (model.ctc_head is None or not isinstance(model.encoder.layout, Timeline)):
        raise ValueError(
            f"word_times: ctc; '{name}' was trained without CTC: expected attention, or a run of speech with"
            " objective=[cross_entropy,ctc]"
        )


def word_times(
    model: Seq2Seq,
    tokenizer: Tokenizer,
    memory: Memory,
    index: int,
    hypothesis: Hypothesis,
    source: str,
    waveform: np.ndarray | None = None,
    sample_rate: int = 16_000,
) -> WordTimes:
    """When the words of a hypothesis are heard.

    Args:
        model: that wrote it.
        tokenizer: of its tokens.
        memory: that it was decoded from.
        index: of the hypothesis' source in ``memory``.
        hypothesis: what was written.
        source: "attention" or "ctc".
        waveform: of the recording, in which attention's words are bounded.
        sample_rate: of it, in Hz.

    Shapes:
        waveform: (L,).
    """
    if not isinstance(memory.layout, Timeline):
        return WordTimes((), source)
    spans = ctc_spans(model, tokenizer, memory, index, hypothesis) if source == "ctc" else None
    if spans is not None:
        return WordTimes(tuple(spans), "ctc")
    real = int(memory.mask[index].sum())
    weights = hypothesis.weights[..., :real].mean(dim=1).float().cpu().numpy()
    found = attention_times(weights, memory.layout, tokenizer.word_spans(hypothesis.tokens), waveform, sample_rate)
    return WordTimes(tuple(found), "attention")


def ctc_spans(
    model: Seq2Seq, tokenizer: Tokenizer, memory: Memory, index: int, hypothesis: Hypothesis
) -> list[Span] | None:
    """When CTC hears each word; None without a CTC head or a timeline, or where CTC has no path for the text."""
    if model.ctc_head is None or not isinstance(memory.layout, Timeline):
        return None
    source = memory.select(slice(index, index + 1))
    logits = model.ctc_logits(source)[0, : int(source.mask.sum())]
    return ctc_times(logits, memory.layout, hypothesis.tokens, tokenizer.word_spans(hypothesis.tokens))
