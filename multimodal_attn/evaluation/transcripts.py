"""Scores of transcripts: word and character error rate, and which word became which."""

from __future__ import annotations

import jiwer

from multimodal_attn.evaluation.captions import check_pairs


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
