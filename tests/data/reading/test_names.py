"""Names by their capital letters."""

from __future__ import annotations

import pytest

from multimodal_attn.data.datasets.dialogsum import DialogSum
from multimodal_attn.data.modalities.text import TextReader
from multimodal_attn.data.reading.names import names


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Tom met Ida Brown on Monday.", {"Ida", "Brown", "Monday"}),  # Tom only begins the sentence
        ("Dr. Peters saw Mrs. Parker. She slept! Why? Nobody: None", {"Peters", "Parker"}),
        ("#Person1#: Hello, Tom.\n#Person2#: Fine", {"Tom"}),
        ('He said: "Go." I am OK, says the BBC', set()),
        ("she asked “Zoé”, then ‘Émile’", {"Zoé", "Émile"}),
        ("(The end) in Rome -Paris", {"Rome", "Paris"}),
        ("we met The Fox. It is the fox of Lyon", {"Lyon"}),  # The and Fox are words as well
        ("", set()),
    ],
)
def test_names_are_capitalized_within_a_sentence(text: str, found: set[str]) -> None:
    assert names(text) == found


def test_a_target_has_the_names_that_both_texts_have() -> None:
    reader = TextReader(source_normalize="spaced")
    target = reader.target("Tom tells Ida's story to Max. Ida laughs.", "spaced", "#Person1#: Hi, Tom. Is Ida here?")
    assert target.text == "tom tells ida 's story to max . ida laughs ."
    # The source shows that Tom is a name, the summary that Ida is one; Max is not in the source.
    assert target.names == ("tom", "ida")
    short = TextReader(max_source_tokens=5, source_normalize="spaced")
    assert short.target("Tom meets Ida", "spaced", "#Person1#: Hi, Tom. Is Ida here?").names == ("tom",)


def test_dialogsum_knows_names_though_it_reads_lower_case(tmp_path) -> None:
    line = '{"id": "1", "dialogue": "#Person1#: Hello, Ida. I ' + "' " + 'm Tom.", "summaries": ["Tom meets Ida."]}'
    (tmp_path / "val.jsonl").write_text(line)
    (target,) = DialogSum("val", tmp_path).entries[0].targets
    assert target.names == ("tom", "ida")
