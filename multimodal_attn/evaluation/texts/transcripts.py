"""Scores of transcripts: word and character error rate, and which word became which."""

from __future__ import annotations

from typing import ClassVar

import jiwer

from multimodal_attn.evaluation.texts.base import TextScores, check_pairs


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
        check_pairs(hypotheses, references)
        truth = [" ".join(texts[0].split()) for texts in references]
        written = [" ".join(text.split()) for text in hypotheses]
        words = jiwer.process_words(truth, written)
        number = max(1, sum(len(text.split()) for text in truth))
        return {
            "wer": (words.substitutions + words.deletions + words.insertions) / number,
            "cer": float(jiwer.process_characters(truth, written).cer),
            "substitutions": words.substitutions / number,
            "deletions": words.deletions / number,
            "insertions": words.insertions / number,
        }
