"""Scores of transcripts: word and character error rate, and which word became which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import jiwer
import numpy as np

from multimodal_attn.evaluation.statistics import Statistic, Sums, figures_of
from multimodal_attn.evaluation.texts.base import TextScores, check_pairs
from multimodal_attn.prediction.times.word_alignment import align_words


class TranscriptScores(TextScores):
    """Error rates of a whole set: edits in all utterances over words (or characters) in all references.

    An utterance with an empty reference adds its hypothesis' words as insertions. If there is no reference word at
    all, rates are per one word, so that they stay finite. Rates above 1 are possible: insertions count.
    """

    monitor: ClassVar[str] = "wer"

    def __call__(self, hypotheses: list[str], references: list[list[str]]) -> dict[str, float]:
        """Scores of the whole set; of several references the first one counts.

        Returns:
            ``wer`` and ``cer``, and the word ``substitutions``, ``deletions`` and ``insertions`` that add up to the
            former, all as fractions of the reference. Characters include the spaces between words.
        """
        return figures_of(self.statistics(hypotheses, references), len(hypotheses))

    def statistics(self, hypotheses: list[str], references: list[list[str]]) -> list[Statistic]:
        check_pairs(hypotheses, references)
        truth = [" ".join(texts[0].split()) for texts in references]
        written = [" ".join(text.split()) for text in hypotheses]
        words, characters = jiwer.process_words(truth, written), jiwer.process_characters(truth, written)
        counts = [
            [*_edits(of_words), len(text.split()), sum(_edits(of_characters)), len(text)]
            for text, of_words, of_characters in zip(truth, words.alignments, characters.alignments, strict=True)
        ]
        return [Sums(np.array(counts, dtype=np.float64), _rates)]

    def right_words(self, words: list[str], references: list[str]) -> list[bool]:
        """Those that stand where the first reference has the same word."""
        true = references[0].split()
        pairs = align_words(words, true)
        return [index is not None and words[i] == true[index] for i, index in pairs if i is not None]


def _edits(alignment: Sequence[jiwer.AlignmentChunk]) -> list[int]:
    """Substitutions, deletions and insertions."""
    sizes = dict.fromkeys(("substitute", "delete", "insert"), 0)
    for chunk in alignment:
        if chunk.type in sizes:
            written, true = chunk.hyp_end_idx - chunk.hyp_start_idx, chunk.ref_end_idx - chunk.ref_start_idx
            sizes[chunk.type] += max(written, true)  # equal, or one of them is empty
    return list(sizes.values())


def _rates(sums: np.ndarray) -> dict[str, np.ndarray]:
    *edits, words, character_edits, characters = sums.T
    rates = [some / np.maximum(words, 1) for some in edits]
    names = ("substitutions", "deletions", "insertions")
    return {
        "wer": np.sum(rates, axis=0),
        "cer": character_edits / np.maximum(characters, 1),
        **dict(zip(names, rates, strict=True)),
    }
