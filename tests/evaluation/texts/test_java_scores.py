from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from multimodal_attn.evaluation.texts.captions import CaptionScores
from multimodal_attn.evaluation.texts.java_scores import java_scores

HYPOTHESES, REFERENCES = ["A red kite.", ""], [["a red kite flies", "The kite is red!"], ["a dog"]]
# What stands in for the programs: the share of sources whose hypothesis has words, after a look at what it was given.
SCORER = """
class {name}:
    def compute_score(self, truth, written):
        assert truth == {{0: ["a red kite flies", "the kite is red"], 1: ["a dog"]}}, truth
        assert written == {{0: ["a red kite"], 1: [""]}}, written
        {body}
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of the name, with a METEOR that works, a SPICE that fails, and a java on the path."""
    for name, body in (("meteor", "return 0.25, [0.5, 0.0]"), ("spice", "raise ValueError('out of memory\\nat X')")):
        (tmp_path / "pycocoevalcap" / name / "lib").mkdir(parents=True)
        (tmp_path / "pycocoevalcap" / name / "__init__.py").touch()
        (tmp_path / "pycocoevalcap" / name / f"{name}.py").write_text(SCORER.format(name=name.capitalize(), body=body))
    (tmp_path / "pycocoevalcap" / "__init__.py").touch()
    (tmp_path / "pycocoevalcap" / "spice" / "lib" / "stanford-corenlp-3.6.0.jar").touch()
    for loaded in [name for name in sys.modules if name.startswith("pycocoevalcap")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    yield tmp_path / "pycocoevalcap"
    for loaded in [name for name in sys.modules if name.startswith("pycocoevalcap")]:
        del sys.modules[loaded]


def test_tokenized_texts_are_scored_and_a_failure_is_one_line(package: Path) -> None:
    scores, missing = java_scores(["meteor", "spice"], HYPOTHESES, REFERENCES)
    assert scores == {"meteor": 0.25}
    assert missing == ["extra_scores: spice is left out: out of memory"]


def test_without_java(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    scores, missing = java_scores(["meteor"], HYPOTHESES, REFERENCES)
    assert scores == {}
    assert missing == ["extra_scores: meteor is left out: there is no java to run; install a Java runtime (8 or newer)"]


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    _, missing = java_scores(["meteor", "spice"], HYPOTHESES, REFERENCES)
    assert len(missing) == 2
    assert "pip install pycocoevalcap" in missing[0]


def test_nothing_is_downloaded(package: Path) -> None:
    (package / "spice" / "lib" / "stanford-corenlp-3.6.0.jar").unlink()
    _, missing = java_scores(["spice"], HYPOTHESES, REFERENCES)
    assert missing == [
        "extra_scores: spice is left out: its parser stanford-corenlp-3.6.0.jar is missing;"
        " python -m pycocoevalcap.spice.get_stanford_models gets it"
    ]


def test_nothing_asked_nothing_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: pytest.fail("looked for the package"))
    assert java_scores([], HYPOTHESES, REFERENCES) == ({}, [])


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"extra_scores: clip, mover; expected \[\] or some of meteor, spice"):
        CaptionScores().check_extras(["meteor", "clip", "mover"])


def test_meteor_itself() -> None:
    """Where its package and Java are installed: 0.38 is what the program gives this caption."""
    pytest.importorskip("pycocoevalcap")
    if shutil.which("java") is None:
        pytest.skip("needs Java")
    scores, missing = java_scores(["meteor"], ["a red kite"], [["a red kite flies", "the kite is red"]])
    assert not missing
    assert scores["meteor"] == pytest.approx(0.3799461194352912)
