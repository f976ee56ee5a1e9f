from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from multimodal_attn.inspection.page.data import OTHERS_BYTES, word_diff
from multimodal_attn.inspection.page.packing import pack_weights
from multimodal_attn.inspection.page.page import page_title, script, write_page
from multimodal_attn.inspection.views import VIEWS
from multimodal_attn.prediction.true_boxes import Thing
from multimodal_attn.types import Box, Span
from tests.inspection.records import photo_record, speech_record, text_record


class Elements(HTMLParser):
    """Reads the page as a browser would: its elements, and what stands in scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: dict[str, str] = {}
        self.inside: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style", "title", "h1"):
            self.inside = dict(attrs).get("id") or tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = None

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.blocks[self.inside] = self.blocks.get(self.inside, "") + data

    def json(self, name: str) -> Any:
        return json.loads(self.blocks[name])


def read(path: Path) -> Elements:
    return Elements(path.read_text(encoding="utf-8"))


def media(uri: str) -> bytes:
    assert uri.startswith("data:")
    return base64.b64decode(uri.split(",", 1)[1])


def test_one_file_with_all_its_parts(tmp_path: Path):
    path = write_page(
        [photo_record(), speech_record()], tmp_path / "new" / "index.html", "a run: val", {"bleu_4": 0.25}
    )
    assert path == tmp_path / "new" / "index.html"
    assert [p.name for p in path.parent.iterdir()] == ["index.html"]
    elements = read(path)
    assert elements.blocks["title"] == elements.blocks["h1"] == "a run: val"
    overview = elements.json("overview")
    assert [e["key"] for e in overview["examples"]] == ["photo.jpg", "clip"]
    (figure,) = overview["headline"]
    assert (figure["name"], figure["title"], figure["value"]) == ("bleu_4", "BLEU-4", "0.250")
    assert overview["figures"] == [["Texts", [figure]]]
    assert not re.search(r"\{\{\w+\}\}", path.read_text(encoding="utf-8"))


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path):
    path = write_page([photo_record(), speech_record()], tmp_path / "index.html", "x")
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]+\.[a-z]|@import|url\(|fetch\(|XMLHttpRequest|import\(", text)
    for tag, attributes in read(path).tags:
        assert attributes.get("src") is None, tag
        assert (attributes.get("href") or "data:").startswith("data:"), tag


def test_the_policy_names_exactly_our_script_and_style(tmp_path: Path):
    elements = read(write_page([photo_record()], tmp_path / "index.html", "x"))
    (policy,) = [a["content"] for tag, a in elements.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    for name in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(elements.blocks[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


EVIL = '</script><script>alert("x")</script><!-- <img src=x onerror=alert(1)> {{SCRIPT}} & \u2028 \ud800'


def test_texts_from_data_stay_texts(tmp_path: Path):
    record = photo_record(key=EVIL, words="a dog")
    record.text, record.references, record.flags = EVIL, [EVIL], [EVIL]
    record.word_tokens, record.tokens = [(EVIL, 0, 1), ("dog", 1, 2)], [EVIL, "dog"]
    plain = read(write_page([photo_record(words="a dog")], tmp_path / "plain.html", "x", {"a": "b"}))
    path = write_page([record], tmp_path / "index.html", EVIL.replace("\ud800", ""), {EVIL: EVIL})
    elements = read(path)
    assert [(tag, sorted(a)) for tag, a in elements.tags] == [(tag, sorted(a)) for tag, a in plain.tags]
    assert elements.blocks["script"] == plain.blocks["script"]
    (about,) = elements.json("overview")["examples"]
    assert about["text"] == about["key"] == about["references"][0] == about["flags"][0] == EVIL
    assert elements.json("example-0")["hypotheses"][0]["words"][0][0] == EVIL
    ((_, (figure,)),) = elements.json("overview")["figures"]
    assert figure["title"] == figure["value"] == EVIL


def test_the_script_never_writes_markup():
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc", script()
    )


def test_every_view_and_chart_has_a_script_that_registers_itself(tmp_path: Path):
    record = photo_record()
    record.gate = [0.5] * 3
    example = read(write_page([record], tmp_path / "index.html", "x")).json("example-0")
    kinds = [f"views.{view.name} =" for view in VIEWS.values()]  # type: ignore[attr-defined]
    kinds += [f"charts.{chart['script']} =" for chart in example["hypotheses"][0]["charts"]]
    assert len(kinds) == 4
    assert all(script().count(kind) == 1 for kind in kinds)


def unpack_weights(packed: dict[str, Any]) -> np.ndarray:
    """What the page's script reads back from ``pack_weights``, (T, N, S)."""
    codes = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), dtype=np.uint8)
    scale = np.asarray(packed["scale"]).reshape(packed["shape"][:2])
    return (codes.reshape(packed["shape"]) * (scale[..., None] / 255)).astype(np.float32)


def test_weights_come_back_within_the_stated_bound():
    generator = np.random.default_rng(0)
    weights = generator.dirichlet(np.full(75, 0.05), size=(7, 3)).astype(np.float32)
    weights[0, 0] = 1 / 75
    weights[1, 1] = 0
    back = unpack_weights(json.loads(json.dumps(pack_weights(weights))))
    assert back.shape == weights.shape
    bound = weights.max(axis=-1, keepdims=True) / 510
    assert (np.abs(back - weights) <= bound * 1.0001 + 1e-9).all()
    np.testing.assert_allclose(back[0, 0], 1 / 75, rtol=1e-6)  # a uniform map stays uniform


@pytest.mark.parametrize("shape", [(0, 1, 9), (2, 1, 0), (1, 1, 1)])
def test_weights_of_odd_shapes_come_back(shape: tuple[int, int, int]):
    assert unpack_weights(pack_weights(np.ones(shape, dtype=np.float32))).shape == shape


def test_photo_example(tmp_path: Path):
    elements = read(write_page([photo_record()], tmp_path / "index.html", "x"))
    example = elements.json("example-0")
    assert (example["rows"], example["columns"]) == (4, 6)
    assert Image.open(io.BytesIO(media(example["photo"]))).size == (60, 40)
    (best,) = example["hypotheses"]
    assert best["boxes"] == {"2": [[0.3, 0.2, 0.55, 0.6]]}
    assert best["hits"] == {"2": 1}
    assert best["entropy"][0][:2] == [1, 1]
    assert best["peak"][0][2] == pytest.approx(0.77)
    assert best["charts"] == []
    overview = elements.json("overview")
    assert overview["limits"][0] == pytest.approx(0.77 - 1 / 24, rel=1e-4)  # above uniform
    measures = overview["examples"][0]["measures"]
    assert measures["rouge_l"] == 0.83  # precision 2 / 3 and recall 1 of "a dog": 2.44 p r / (r + 1.44 p)
    assert (measures["score"], measures["hits"], measures["words"]) == (-0.5, 1, 3)
    assert measures["wer"] is measures["late"] is measures["gate"] is None
    assert set(measures) == {name for name, _ in overview["measures"]}


def test_large_photos_are_made_smaller(tmp_path: Path):
    record = photo_record()
    record.source = np.zeros((1500, 3000, 3), dtype=np.uint8)
    example = read(write_page([record], tmp_path / "index.html", "x")).json("example-0")
    assert (example["width"], example["height"]) == (448, 224)


def test_speech_example(tmp_path: Path):
    record = speech_record()
    elements = read(write_page([record], tmp_path / "index.html", "x"))
    example = elements.json("example-0")
    assert example["audio"].startswith("data:audio/flac;")
    waveform, rate = soundfile.read(io.BytesIO(media(example["audio"])), dtype="float32")
    assert rate == 16_000
    np.testing.assert_allclose(waveform, record.source, atol=1 / 32_000)
    (best,) = example["hypotheses"]
    assert best["times"] == {"0": [0, 0.4], "1": [0.4, 1]}
    assert [round(start, 2) for start, _ in best["heard"]] == [0, 0.52]
    measures = elements.json("overview")["examples"][0]["measures"]
    assert measures["late"] == pytest.approx(60)  # the median of 0 and 120
    assert measures["wer"] == 0
    assert measures["rouge_l"] is None


def test_text_example(tmp_path: Path):
    example = read(write_page([text_record()], tmp_path / "index.html", "x")).json("example-0")
    assert example["source"] == ["ein", "roter", "Hund", "schläft"]
    assert example["hypotheses"][0]["peak"] == [pytest.approx([0.9, 0.9, 0.9])]


def test_what_else_the_search_found_is_on_the_page(tmp_path: Path):
    record = photo_record()
    record.others = [photo_record(words="a dog"), photo_record(words="")]
    record.others[0].weights[0, 0, 0] = 0.9  # above all of the best text, and so the end of the scale
    elements = read(write_page([record], tmp_path / "index.html", "x"))
    example = elements.json("example-0")
    assert [h["text"] for h in example["hypotheses"]] == ["a red dog", "a dog", ""]
    assert example["hypotheses"][1]["boxes"] == {"1": [[0.3, 0.2, 0.55, 0.6]]}
    assert example["found"] == 3
    assert elements.json("overview")["limits"][0] == pytest.approx(0.9 - 1 / 24, rel=1e-4)


def test_hypotheses_too_large_for_the_page_stay_out(tmp_path: Path):
    record = text_record()
    record.others = [text_record() for _ in range(3)]
    noise = np.random.default_rng(0).random((3, 1, OTHERS_BYTES // 6)).astype(np.float32)
    for other in record.others:
        other.weights = noise  # codes of half the bytes that there is room for, two thirds of them in base64
    example = read(write_page([record], tmp_path / "index.html", "x")).json("example-0")
    assert (len(example["hypotheses"]), example["found"]) == (2, 4)


@pytest.mark.parametrize(
    ("name", "title"),
    [("beta", "Gate β"), ("share of the source", "Share of the source")],
)
def test_a_gate_is_there_where_the_record_has_one(tmp_path: Path, name: str, title: str):
    record = photo_record()
    record.gate, record.gate_name = [0.25, 0.5, 0.75], name
    elements = read(write_page([record], tmp_path / "index.html", "x"))
    best = elements.json("example-0")["hypotheses"][0]
    (chart,) = best["charts"]
    assert (chart["script"], chart["title"], chart["data"]) == ("bars", title, [0.25, 0.5, 0.75])
    assert "how much of what attention read" in chart["about"]
    overview = elements.json("overview")
    assert overview["examples"][0]["measures"]["gate"] == 0.5
    assert dict(overview["measures"])["gate"] == f"{title}, mean"


def test_streams_are_drawn_where_the_record_has_some(tmp_path: Path):
    record = photo_record()
    record.streams = {"what": np.array([0.2, 0.75, 1.25]), "where": np.array([0.8, 0.25, -0.25])}
    (chart,) = read(write_page([record], tmp_path / "index.html", "x")).json("example-0")["hypotheses"][0]["charts"]
    assert (chart["script"], chart["data"]) == ("bars", {"what": [0.2, 0.75, 1], "where": [0.8, 0.25, 0]})


def test_the_headline_is_short_and_each_figure_stands_beside_its_baseline(tmp_path: Path):
    names = ["attention_entropy", "num_examples", "pointing_center", "pointing_accuracy", "faithfulness_deletion"]
    figures = dict.fromkeys([*names, "bleu_4", "cider_d", "of_my_own"], 0.5)
    overview = read(write_page([], tmp_path / "index.html", "x", figures)).json("overview")
    told = {figure["name"]: (figure["title"], figure["value"], figure["baseline"]) for figure in overview["headline"]}
    assert list(told)[:2] == ["cider_d", "bleu_4"]
    assert told["pointing_accuracy"] == ("Pointing accuracy", "50.0 %", "Always the center: 50.0 %")
    assert told["faithfulness_deletion"][2] == "chance: 0.000 nats"
    assert {"pointing_center", "num_examples"}.isdisjoint(told)
    listed = [figure["name"] for _, members in overview["figures"] for figure in members]
    assert sorted(listed) == sorted(figures)
    assert overview["figures"][-1][1][0]["value"] == "0"  # a count


def test_the_page_says_of_how_many_its_examples_are(tmp_path: Path):
    assert read(write_page([], tmp_path / "index.html", "x", total=500)).json("overview")["total"] == 500
    assert page_title("a_run", "val") == "a_run: validation"
    assert page_title("a_run", "test_other") == "a_run: test_other"
    assert page_title("a_run", None) == "a_run: predictions"


def test_a_text_is_compared_with_the_reference_that_it_is_closest_to():
    assert word_diff("a", []) is None
    found = word_diff("a big dog runs", ["the cat", "a red dog runs fast"])
    assert found == {
        "reference": 1,
        "edits": 2,
        "pairs": [(0, "a"), (1, "red"), (2, "dog"), (3, "runs"), (None, "fast")],
    }
    assert word_diff("a b", ["b"]) == {"reference": 0, "edits": 1, "pairs": [(0, None), (1, "b")]}
    assert word_diff("", ["b"]) == {"reference": 0, "edits": 1, "pairs": [(None, "b")]}


def test_true_words_that_were_not_written_have_their_times(tmp_path: Path):
    record = speech_record()
    record.true_words = [("go", Span(0.0, 0.4)), ("now", Span(0.4, 0.5)), ("cup", Span(0.5, 1.0))]
    best = read(write_page([record], tmp_path / "index.html", "x")).json("example-0")["hypotheses"][0]
    assert best["missed"] == [["now", 0.4, 0.5, "up"], ["cup", 0.5, 1, None]]


def test_long_recordings_are_compressed(tmp_path: Path):
    path = write_page([speech_record(seconds=20)], tmp_path / "index.html", "x")
    uri = read(path).json("example-0")["audio"]
    assert uri.startswith("data:audio/ogg;")
    assert soundfile.info(io.BytesIO(media(uri))).duration == pytest.approx(20, abs=0.05)


def test_heads_have_measures_of_their_own(tmp_path: Path):
    record = photo_record(heads=2)
    record.weights[-1, 1] = 1 / 24
    elements = read(write_page([record], tmp_path / "index.html", "x"))
    assert elements.json("overview")["heads"] == 2
    peaks = [row[2] for row in elements.json("example-0")["hypotheses"][0]["peak"]]
    assert peaks == pytest.approx([(0.77 + 1 / 24) / 2, 0.77, 1 / 24], rel=1e-3)
    mean, single = elements.json("overview")["limits"]
    assert mean < single


def test_what_has_no_number_becomes_null(tmp_path: Path):
    record = photo_record()
    record.score = float("-inf")
    record.weights[0] = np.nan
    path = write_page([record], tmp_path / "index.html", "x", {"loss": float("nan"), "n": np.float32(2.0), "name": "y"})
    overview = read(path).json("overview")
    values = {figure["name"]: figure["value"] for _, members in overview["figures"] for figure in members}
    assert values == {"loss": "n/a", "n": "2.000", "name": "y"}
    assert overview["examples"][0]["measures"]["score"] is None


def test_empty_hypotheses_and_no_examples(tmp_path: Path):
    record = speech_record()
    record.tokens, record.word_tokens, record.text, record.times, record.word_spans = [], [], "", {}, ()
    record.weights = record.weights[:0]
    elements = read(write_page([photo_record(words=""), record], tmp_path / "index.html", "x"))
    assert elements.json("overview")["examples"][1]["measures"]["entropy"] is None
    assert elements.json("example-1")["hypotheses"][0]["heard"] == []
    assert read(write_page([], tmp_path / "none.html", "x")).json("overview")["examples"] == []


def test_an_example_stays_below_a_hundred_kilobytes(tmp_path: Path):
    # So that fifty stay below five megabytes. Noise is the worst case for every codec.
    speech = [speech_record(f"clip{i}", seconds=3) for i in range(3)]
    for record in speech:
        record.others = [speech_record(seconds=3) for _ in range(20)]
    photo = photo_record()
    photo.source = np.random.default_rng(0).integers(0, 255, (224, 224, 3), dtype=np.uint8)
    for name, records in {"empty": [], "speech": speech, "photos": [photo] * 3}.items():
        write_page(records, tmp_path / name, "x")
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes["empty"] < 100_000
    assert sizes["speech"] - sizes["empty"] < 3 * 100_000
    assert sizes["photos"] - sizes["empty"] < 3 * 100_000


def test_a_failed_page_leaves_the_old_one(tmp_path: Path):
    path = write_page([photo_record()], tmp_path / "index.html", "old")
    record = photo_record()
    record.layout = "elsewhere"  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"photo\.jpg: nothing shows a str"):
        write_page([record], path, "new")
    assert read(path).blocks["title"] == "old"


def test_alarms_stand_on_the_page(tmp_path: Path):
    path = write_page([photo_record()], tmp_path / "index.html", "x", alarms=["attention does not beat <chance>"])
    elements = read(path)
    assert elements.json("overview")["alarms"] == ["attention does not beat <chance>"]
    assert ("div", {"id": "alarms", "role": "alert", "hidden": None}) in elements.tags


def test_a_word_for_another_thing_than_was_looked_at_is_no_miss(tmp_path: Path):
    record = photo_record()
    elsewhere, here = (Box(0.7, 0.6, 0.9, 0.9),), (Box(0.3, 0.2, 0.55, 0.6),)
    record.boxes = {2: elsewhere}
    for name, told in (("dog", "another dog"), ("cat", "the cat")):
        record.things = [[Thing("dog", frozenset(), elsewhere), Thing(name, frozenset(), here)]]
        elements = read(write_page([record], tmp_path / "index.html", "x"))
        (best,) = elements.json("example-0")["hypotheses"]
        assert best["lookedAt"] == {"2": told}
    assert best["hits"] == {}
    assert elements.json("overview")["examples"][0]["measures"]["hits"] is None
