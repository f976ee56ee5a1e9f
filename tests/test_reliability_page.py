"""Every test that docs/reliability.md names is there, so that the page promises nothing that nobody tests."""

from __future__ import annotations

import re
from pathlib import Path

from tests.commands.test_bad_inputs import COMMANDS, ODD, PLACES
from tests.prediction.test_strangers import ATTACKS


def test_what_is_named_exists(repository: Path) -> None:
    page = (repository / "docs" / "reliability.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert len(named) > 40
    for file, test in named:
        assert (repository / file).is_file(), file
        assert not test or f"def {test}(" in (repository / file).read_text(), test


def test_there_are_twenty_reports_and_more(repository: Path) -> None:
    page = (repository / "docs" / "reliability.md").read_text()
    reports = re.findall(r"\| \[[^\]]+\]\(https://github.com/[\w./-]+/(?:issues|pull)/\d+\) \|.*::test_", page)
    assert len(reports) >= 20


def test_numbers_of_cases_are_those_of_the_tests(repository: Path) -> None:
    page = (repository / "docs" / "reliability.md").read_text()
    assert f"| `tests/commands/test_bad_inputs.py` | {len(COMMANDS)} |" in page
    assert f"in each place of a command line | the same | {len(ODD) * len(PLACES)} |" in page
    assert len(ATTACKS) > 100
    assert "tries more than a hundred changes to a good checkpoint" in page
