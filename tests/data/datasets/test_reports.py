"""Made-up reports and their summaries."""

from __future__ import annotations

import pytest

from multimodal_attn.data.datasets.base import Split
from multimodal_attn.data.datasets.reports import DISTRACTORS, NUMBERS, VERBS, WORDINGS, Reports


def names(split: Split, number: int = 300) -> set[str]:
    return {word for text in Reports(split, number).source_texts() for word in text.split() if word[0].isupper()}


def test_every_word_comes_from_where_it_is_said_to() -> None:
    data = Reports("train", 200)
    for example in (data[index] for index in range(len(data))):
        words = str(example.source).split()
        assert len(example.targets) == len(WORDINGS)
        for target in example.targets:
            for index, word in enumerate(target.text.split()):
                if index not in target.read_from:
                    assert word in ("in", "on")
                    continue
                said = " ".join(words[place] for place in target.read_from[index])
                assert word in (said, VERBS.get(said), str(NUMBERS.index(said) + 2) if said in NUMBERS else None)


def test_names_of_a_summary_stand_once_in_its_report_and_in_no_other_split() -> None:
    for example in (Reports("val", 100)[index] for index in range(100)):
        for target in example.targets:
            assert target.names == tuple(word for word in target.text.split() if word[0].isupper())
            assert all(str(example.source).split().count(word) == 1 for word in target.names)
    assert not names("train") & names("val")
    assert not names("val") & names("test")


def test_what_matters_is_not_all_there_is() -> None:
    texts = Reports("train", 200).source_texts()
    assert all(any(form.split()[0] in text for form in DISTRACTORS) for text in texts)
    assert len({text.split()[0] for text in texts}) > 20


def test_reports_depend_on_seed_and_index_alone() -> None:
    assert Reports("train", 5).source_texts() == Reports("train", {"train": 9}).source_texts()[:5]
    assert Reports("train", 5).source_texts() != Reports("train", 5, seed=1).source_texts()
    with pytest.raises(ValueError, match=r"data.num_examples: no number for val"):
        Reports("val", {"train": 5})
