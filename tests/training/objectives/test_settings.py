"""Values that make no sense are refused with the key and what was expected."""

from __future__ import annotations

from typing import Any

import pytest

from multimodal_attn.parts import part
from multimodal_attn.training.objectives.base import Objective


@pytest.mark.parametrize(
    ("target", "setting", "value", "expected"),
    [
        ("ctc.CTC", "epochs", 0, "0; expected at least 1"),
        ("doubly_stochastic.DoublyStochastic", "target", "two", "'two'; expected 'one' or 'share'"),
        ("guided_attention.GuidedAttention", "sigma", 0, "0; expected more than 0"),
        ("hard_attention.HardAttention", "baseline_decay", 1.0, "1.0; expected less than 1"),
        ("hard_attention.HardAttention", "reward", "none", "'none'; expected 'text' or 'rest'"),
        ("minimum_word_error.MinimumWordError", "num_best", 1, "1; expected at least 2"),
        ("self_critical.SelfCritical", "baseline", "mean", "'mean'; expected 'greedy' or 'samples'"),
        ("self_critical.SelfCritical", "num_samples", 1, "1; expected at least 2"),
    ],
)
def test_wrong_settings_are_named(target: str, setting: str, value: Any, expected: str) -> None:
    key = f"objective.{target.partition('.')[0]}"
    node = {"_target_": f"multimodal_attn.training.objectives.{target}", setting: value}
    with pytest.raises(ValueError, match=f"^{key}.{setting}: {expected}"):
        part(key, node, Objective)()
