"""Whether a model that copies words copies the right ones, from the right places."""

from __future__ import annotations

import numpy as np

from multimodal_attn.evaluation.attention.cells.base import Reading
from multimodal_attn.evaluation.attention.grounding import peaks
from multimodal_attn.prediction.copying import copied_tokens
from multimodal_attn.prediction.times.word_alignment import right_words
from multimodal_attn.types import COPYING, UNK, Target


def copying_samples(reading: Reading) -> dict[str, list[float]]:
    """What one text says of copying, by name of the figure that is the mean over all texts.

    - ``copy_share``: 1 for each token that was copied (see ``copied_tokens``), else 0.
    - ``copy_accuracy``: of each copied token, the share of the peak positions that hold it.
    - ``copy_place_accuracy``: the same of the positions that it truly comes from, over the copied tokens of texts whose
      references have this truth. A copied token that the closest reference lacks is wrong.
    - ``copy_probability_true`` and ``copy_probability_other``: the probability of copying at words that truly stand in
      the source as they are written, and at the other words of known origin.
    - ``unknown_words``: of each word of the closest reference that the source has and the vocabulary lacks, whether it
      was written. Of any model that writes whole words.
    - ``names_written``: the same of each name of the closest reference that the source has (``Target.names``), known to
      the vocabulary or not. Of any model.

    Args:
        reading: of a source text.
    """
    found: dict[str, list[float]] = {}
    written = reading.words
    closest = max(reading.targets, key=lambda target: len(right_words(written, target)), default=None)
    if closest is None:
        return found
    found["names_written"] = [float(name in written) for name in closest.names]
    if reading.tokenizer.whole_words:
        found["unknown_words"] = _unknown_words(reading, closest)
    copies, gate = reading.memory.copies, reading.hypothesis.gate
    if copies is None or gate is None or reading.hypothesis.gate_name != COPYING:
        return found
    tokens, maps = reading.hypothesis.tokens, reading.written.maps
    standing = copies[reading.index, : reading.positions].cpu().numpy()
    tops = peaks(maps) if len(tokens) else np.zeros((0, len(standing)), dtype=bool)
    same = standing == np.array(tokens, dtype=int)[:, None]
    shares = (tops & same).sum(1) / tops.sum(1)
    copied = copied_tokens(gate, maps, same, reading.hypothesis.log_probs.tolist())
    found["copy_share"] = list(map(float, copied))
    found["copy_accuracy"] = [float(share) for share, is_copied in zip(shares, copied, strict=True) if is_copied]
    if closest.read_from:
        found |= _compared(reading, closest, tops, copied, standing)
    return found


def _compared(
    reading: Reading, target: Target, tops: np.ndarray, copied: list[bool], standing: np.ndarray
) -> dict[str, list[float]]:
    """Against the true places of the words that the text shares with a reference; a word is a token here."""
    gate, tokens = reading.hypothesis.gate, reading.hypothesis.tokens
    assert gate is not None
    true = dict(right_words(reading.words, target))
    places: list[float] = []
    at_copies: list[float] = []
    at_others: list[float] = []
    for index, (top, is_copied) in enumerate(zip(tops, copied, strict=True)):
        if index not in true:
            places += [0.0] * is_copied
        elif right := [place for place in target.read_from.get(true[index], ()) if place < len(standing)]:
            places += [float(top[right].sum() / top.sum())] * is_copied
            (at_copies if (standing[right] == tokens[index]).any() else at_others).append(gate[index])
    return {
        "copy_place_accuracy": places,
        "copy_probability_true": at_copies,
        "copy_probability_other": at_others,
    }


def _unknown_words(reading: Reading, target: Target) -> list[float]:
    source, written = set(reading.batch.source_texts[reading.index].split()), set(reading.words)
    words = [word for word in target.text.split() if word in source]
    ids = reading.tokenizer.encode(" ".join(words))
    known = len(reading.tokenizer)
    return [float(word in written) for word, i in zip(words, ids, strict=True) if i == UNK or i >= known]
