"""Whether the right words are copied from the right places."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from multimodal_attn.data.loading.collate import Collate
from multimodal_attn.data.tokenizers.copying_word import CopyingWordTokenizer
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.evaluation.attention.scores import AttentionScores
from multimodal_attn.types import DecoderOutput, Example, Hypothesis, Memory, Target, TokenAxis

SOURCE = "Rex and Ida met Rex on monday in May"
TARGETS = (
    Target("nobody slept", names=("nobody",)),
    Target("Ida saw Rex monday", read_from={0: (2,), 1: (3,), 2: (4,), 3: (6,)}, names=("Ida", "Rex", "monday")),
)


def scores(
    text: str, peaks: list[int], gate: list[float] | None, copies: bool = True, leak: float = 0.0
) -> dict[str, float]:
    """Of a text whose attention lies on one position a word, but for what leaks to "monday"."""
    kind = CopyingWordTokenizer if copies else WordTokenizer
    tokenizer = kind().fit(["saw monday nobody slept"])
    collate = Collate(tokenizer, WordTokenizer().fit([SOURCE]))
    batch = collate([Example("a", SOURCE, TARGETS)])
    positions = batch.source.shape[1]
    memory = Memory(torch.zeros(1, positions, 1), batch.source > 0, TokenAxis(), copies=batch.copies)
    weights = torch.eye(positions)[peaks][:, None] * (1 - leak)
    weights[..., 6] += leak
    own = tokenizer.of_source(SOURCE)
    name = "" if gate is None else "copying"
    log_probs = torch.full((len(peaks),), 0.4).log()
    written = Hypothesis(own.encode(text), 0.0, log_probs, weights, gate=gate, gate_name=name)
    uniform = torch.full((*batch.tokens[..., 1:].shape, 1, positions), 1 / positions)
    output = DecoderOutput(torch.zeros(0), torch.zeros(0), uniform, batch.token_mask[..., 1:])
    found = AttentionScores()
    found.update(batch, memory, output, [written], tokenizer, WordTokenizer().fit([SOURCE]))
    return found.compute()


def test_a_copied_word_is_looked_at_in_its_right_place() -> None:
    found = scores("Ida saw Rex monday", [2, 3, 4, 6], [0.9, 0.1, 0.8, 0.6])
    assert found["copy_share"] == 3 / 4
    assert found["copy_num_tokens"] == 3
    assert found["copy_accuracy"] == found["copy_place_accuracy"] == 1
    assert found["copy_probability_true"] == pytest.approx(np.mean([0.9, 0.8, 0.6]))
    assert found["copy_probability_other"] == pytest.approx(0.1)  # "saw" is inferred from "met"
    assert found["unknown_words"] == 1


def test_another_place_with_the_same_word_is_no_full_hit() -> None:
    found = scores("Ida saw Rex monday", [2, 3, 0, 6], [0.9, 0.1, 0.8, 0.6])
    assert found["copy_accuracy"] == 1
    assert found["copy_place_accuracy"] == pytest.approx(2 / 3)  # the other Rex is meant


def test_a_peak_that_holds_another_word_is_a_miss() -> None:
    found = scores("Ida saw Rex monday", [2, 3, 4, 5], [0.9, 0.1, 0.8, 0.6], leak=0.4)
    assert found["copy_accuracy"] == pytest.approx(2 / 3)  # "monday" was copied, with less weight than "on" has


def test_a_wrong_word_is_copied_from_a_wrong_place() -> None:
    found = scores("Ida saw May monday", [2, 3, 8, 6], [0.9, 0.1, 0.8, 0.6])
    assert found["copy_accuracy"] == 1
    assert found["copy_place_accuracy"] == pytest.approx(2 / 3)
    assert (found["unknown_words"], found["unknown_num_words"]) == (1 / 2, 2)


def test_names_are_asked_for_whether_the_vocabulary_knows_them_or_not() -> None:
    """Two of the three names of the closest reference are written, then one; of the other reference none is asked."""
    found = scores("Ida saw May monday", [2, 3, 8, 6], [0.9, 0.1, 0.8, 0.6])
    assert (found["names_written"], found["names_num_words"]) == (pytest.approx(2 / 3), 3)
    found = scores("nobody saw monday", [2, 3, 8], None, copies=False)
    assert (found["names_written"], found["names_num_words"]) == (pytest.approx(1 / 3), 3)


def test_a_model_that_does_not_copy_is_asked_for_unknown_words_alone() -> None:
    found = scores("monday saw monday", [2, 3, 4], None, copies=False)
    assert (found["unknown_words"], found["unknown_num_words"]) == (0, 2)
    assert not [name for name in found if name.startswith("copy")]


def test_nothing_written() -> None:
    found = scores("", [], [])
    assert not [name for name in found if name.startswith(("copy", "unknown"))]
