"""Every setting of an evaluation with values that make no sense: a sentence names its key, and no run is read."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest

from multimodal_attn.runs.configuration import CONF, compose, leaves, plain, update
from multimodal_attn.runs.evaluations import evaluate as evaluation
from tests.runs.test_bad_settings import SENSIBLE as IN_TRAINING
from tests.runs.test_bad_settings import WRONG, Accepted

SENSIBLE = {
    "-1": "search.length_bonus",
    "None": """
        search.forbidden search.forced_words search.language_model search.max_length search.min_length
        search.no_repeat_ngram search.prefix tag
    """,
    "0": "page_examples",
    "True": "faithfulness streaming verbose",
    "[]": "ensemble extra_scores transcripts trust",
    "'x'": "run run_dir tag search.language_model search.prefix data.root data.anything",
}
"""What makes sense beside the settings that a training has, too."""
LEAST = 700


@pytest.fixture(autouse=True)
def no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def accept(*_: object) -> None:
        raise Accepted

    monkeypatch.setattr(evaluation, "read_run", accept)


def test_a_value_that_makes_no_sense_is_refused_by_its_key() -> None:
    count, seen = 0, set()
    for path in sorted((CONF / "search").glob("*.yaml")):
        config = plain(compose("evaluate", [f"search={path.stem}", "run=x"]))
        for key in [key for key, _ in leaves(config)] + ["search", "data", "search.surprise", "surprise"]:
            if key == "data" or (config["search"]["_target_"], key) in seen:
                continue
            seen.add((config["search"]["_target_"], key))
            for value in WRONG:
                case = deepcopy(config)
                update(case, key, value)
                shown = repr(value)
                if key == "search.forced_words" and isinstance(value, list):
                    continue  # makes sense for some searches
                sensible = key in f"{IN_TRAINING.get(shown, '')} {SENSIBLE.get(shown, '')}".split()
                with pytest.raises(Accepted if sensible else ValueError) as error:
                    evaluation.evaluate(case)
                message = str(error.value)
                assert sensible or key.removesuffix("._target_") in message, (key, value, message)
                assert "\n" not in message, (key, value, message)
                count += 1
    assert count >= LEAST


def test_the_number_of_cases_is_what_the_page_says(repository: Path) -> None:
    page = (repository / "docs" / "reliability.md").read_text()
    assert f"`tests/runs/evaluations/test_bad_evaluation.py` | at least {LEAST} |" in page
