"""Which written word became which true word."""

from __future__ import annotations

import jiwer

from multimodal_attn.types import Target


def align_words(hypothesis: list[str], reference: list[str]) -> list[tuple[int | None, int | None]]:
    """Pairs of a hypothesis word's index and a reference word's index, in order, with the fewest edits.

    None stands where a word has no partner: an insertion ``(i, None)`` or a deletion ``(None, j)``. The words of a
    pair need not be equal.
    """
    pairs: list[tuple[int | None, int | None]] = []
    for chunk in jiwer.process_words(" ".join(reference), " ".join(hypothesis)).alignments[0]:
        written: list[int | None] = [*range(chunk.hyp_start_idx, chunk.hyp_end_idx)]
        true: list[int | None] = [*range(chunk.ref_start_idx, chunk.ref_end_idx)]
        length = max(len(written), len(true))  # equal, or one of them is empty
        pairs += zip(written or [None] * length, true or [None] * length, strict=True)
    return pairs


def right_words(words: list[str], target: Target) -> list[tuple[int, int]]:
    """The words that a reference has as well: place in the hypothesis, place in the reference."""
    reference = target.text.split()
    return [
        (index, true)
        for index, true in align_words(words, reference)
        if index is not None and true is not None and words[index] == reference[true]
    ]
