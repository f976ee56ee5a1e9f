from __future__ import annotations

from typing import Any

import pytest

from multimodal_attn.runs.configuration import compose, plain
from multimodal_attn.runs.evaluations.folder import folder_name


@pytest.fixture(scope="module")
def usual() -> dict[str, Any]:
    return plain(compose("evaluate", ["run=x"]))


def test_the_usual_search_is_named_by_its_split(usual: dict[str, Any]) -> None:
    assert folder_name(usual) == "val"
    assert folder_name({**usual, "split": "test"}) == "test"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"search": {"width": 10}}, "val_beam_width=10"),
        ({"search": {"no_repeat_ngram": 3}}, "val_beam_no_repeat_ngram=3"),
        ({"search": {"forbidden": ["a", "two words"]}}, "val_beam_forbidden=a+two-words"),
        ({"search": {"language_model": "outputs/lm/", "language_model_weight": 0.3}}, None),
        ({"search": {"width": 6, "num_groups": 3, "diversity": 0.5}, "search_rules": "search"}, "val_diverse_beam"),
        ({"search_rules": "search"}, "val_beam"),
        ({"ensemble": ["outputs/b"], "checkpoint": "last"}, "val_ensemble_last"),
        ({"tag": "mine", "search": {"width": 10}}, "val_mine"),
    ],
)
def test_what_is_unusual_stands_in_the_name(usual: dict[str, Any], changes: dict[str, Any], name: str | None) -> None:
    settings = {**usual, **changes, "search": {**usual["search"], **changes.get("search", {})}}
    assert folder_name(settings) == (name or "val_beam_language_model=lm_language_model_weight=0.3")


@pytest.mark.parametrize(
    ("own", "search", "name"),
    [
        ({"forbidden": ["a"]}, {"forbidden": []}, "val_beam_forbidden=none"),
        ({"no_repeat_ngram": 3}, {"no_repeat_ngram": 0}, "val_beam_no_repeat_ngram=0"),
        ({"max_length": 20}, {"max_length": 200}, "val_beam_max_length=200"),  # 200 is that of beam.yaml
        ({"forbidden": [], "no_repeat_ngram": 3}, {"forbidden": [], "no_repeat_ngram": 3}, "val"),
        ({}, {"forbidden": [], "min_length": 0}, "val"),
    ],
)
def test_a_rule_is_named_where_the_run_has_another(
    usual: dict[str, Any], own: dict[str, Any], search: dict[str, Any], name: str
) -> None:
    assert folder_name({**usual, "search": {**usual["search"], **search}}, own) == name


def test_a_search_of_ones_own_and_a_long_name(usual: dict[str, Any]) -> None:
    assert folder_name({**usual, "search": {"_target_": "mine.Mine", "depth": 3}}) == "val_Mine_depth=3"
    names = [
        folder_name({**usual, "search": {**usual["search"], "forbidden": [*["word"] * 60, end]}}) for end in ("a", "b")
    ]
    assert names[0] != names[1]
    assert all(len(name) < 90 for name in names)
