"""Scores of transcripts: word and character error rate, and which word became which."""

from __future__ import annotations

import jiwer

from multimodal_attn.evaluation.texts.captions import check_pairs


class TranscriptScores:
    """Error rates of a whole set: edits in all utterances over words (or characters) in all references.

    An utterance with an empty reference adds its hypothesis' words as insertions. If there is no reference word at
    all, rates are per one word, so that they stay finite. Rates above 1 are possible: insertions count.
    """

    monitor = "wer"
    mode = "min"

    def __call__(self, hypotheses: list[str], references: list[list[str]]) -> dict[str, float]:
        """Scores of the whole set.

        Args:
            hypotheses: one text for each recording.
            references: texts of each recording; the first one counts.

        Returns:
            ``wer`` and ``cer``, and the word ``substitutions``, ``deletions`` and ``insertions`` that add up to the
            former, all as fractions of the reference. Characters include the spaces between words.

        Raises:
            ValueError: if there is nothing to score, the two differ in length, or a recording has no reference.
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
