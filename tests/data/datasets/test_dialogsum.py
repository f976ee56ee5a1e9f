"""DialogSum's files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from multimodal_attn.data.datasets.dialogsum import DialogSum
from multimodal_attn.data.datasets.text import Texts
from multimodal_attn.evaluation.texts.extraction import parts

TURNS = "#Person1#: Hi, Mr. Brown! I ' m late.\n#Person2#: It's 3:30, Ann."


def write(path: Path, *records: dict[str, object]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")


def test_dialogues_and_summaries_are_words_and_marks(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", {"id": "t0", "dialogue": TURNS, "summaries": ["Ann's late.", "#Person1# is late."]})
    data = DialogSum("train", tmp_path)
    assert data[0].key == "t0"
    assert data[0].source == "#person1# : hi , mr . brown ! i 'm late . #person2# : it 's 3:30 , ann ."
    assert [target.text for target in data[0].targets] == ["ann 's late .", "#person1# is late ."]
    assert data.lengths() == [len(data[0].source)]
    assert data.cut == []


def test_the_files_of_the_corpus_itself(tmp_path: Path) -> None:
    record = {
        "fname": "test_0",
        "dialogue": TURNS,
        "summary1": "One.",
        "topic1": "x",
        "summary2": "Two.",
        "summary3": "",
    }
    write(tmp_path / "dialogsum.test.jsonl", record)
    (example,) = [DialogSum("test", tmp_path)[0]]
    assert (example.key, [target.text for target in example.targets]) == ("test_0", ["one .", "two ."])


def test_samsum_is_a_list(tmp_path: Path) -> None:
    dialogue = "Amanda: I baked cookies :-)\r\nJerry: Sure!\r\nAmanda: Ok\r\nJerry: Bye"
    records = [{"id": "1", "summary": "Amanda baked.", "dialogue": dialogue}, "?", {"id": "2", "summary": "No."}]
    (tmp_path / "val.json").write_text(json.dumps(records), "utf-8")
    data = DialogSum("val", tmp_path)
    assert [target.text for target in data[0].targets] == ["amanda baked ."]
    assert [(error.path.rpartition(":")[2], error.reason) for error in data.skipped] == [
        ("2", "not an object {...}"),
        ("3", "no dialogue"),
    ]
    source = data.source_texts()[0]
    assert [" ".join(turn.split()[:2]) for turn in parts(source)] == ["amanda :", "jerry :"] * 2


def test_long_dialogues_are_cut_and_listed(tmp_path: Path) -> None:
    short = {"id": "b", "dialogue": "#Person1#: Hi.", "summaries": ["Hi."]}
    write(tmp_path / "val.jsonl", {"id": "a", "dialogue": TURNS, "summaries": ["Late."]}, short)
    data = DialogSum("val", tmp_path, max_source_tokens=5)
    assert data.source_texts() == ["#person1# : hi , mr", "#person1# : hi ."]
    (cut,) = data.cut
    assert Texts.of(data, "all").cut == [cut]
    assert Texts.of(data, "target").cut == []
    assert cut.path.endswith("val.jsonl:1")
    assert cut.reason == "cut off: 20 words, more than data.max_source_tokens=5"


def test_lines_that_lack_something_are_skipped(tmp_path: Path) -> None:
    good = {"id": "a", "dialogue": TURNS, "summaries": ["Late."]}
    write(
        tmp_path / "val.jsonl", good, {"id": "b", "dialogue": TURNS}, {"dialogue": " ", "summary": "x"}, {"summary": 5}
    )
    data = DialogSum("val", tmp_path)
    assert len(data) == 1
    assert [error.reason for error in data.skipped] == ["no summary", "no dialogue", "no summary"]
    write(tmp_path / "test.jsonl", {"id": "b"})
    with pytest.raises(ValueError, match="has no usable line"):
        DialogSum("test", tmp_path)
    with pytest.raises(ValueError, match=r"data.root: .* has no train.jsonl or dialogsum.train.jsonl or train.json"):
        DialogSum("train", tmp_path)
