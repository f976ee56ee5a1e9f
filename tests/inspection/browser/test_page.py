"""What a reader does with the page, done in a real browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from multimodal_attn.inspection.page.data import describe_example
from multimodal_attn.inspection.show import html_of
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.types import COPYING, Span
from tests.inspection.browser.conftest import OpenPage
from tests.inspection.records import live_record, photo_record, speech_record, text_record, with_layers

pytestmark = pytest.mark.browser

PIXELS = "canvas => canvas.toDataURL()"
ORDER = """() => [...document.querySelectorAll('.example:not([hidden])')]
  .map(node => overview.examples[node.dataset.number].key)"""
BRIGHTNESS = """nodes => nodes.map(node => getComputedStyle(node).backgroundColor.match(/\\d+/g).slice(0, 3)
  .reduce((sum, part) => sum + Number(part), 0))"""


def expect(target: Any) -> Any:
    from playwright.sync_api import expect  # here, because collecting the tests must not need it

    return expect(target)


def words(page: Any) -> Any:
    return page.locator(".example .word")


def pick(page: Any, control: str, value: str) -> None:
    page.get_by_role("combobox", name=control, exact=True).select_option(value)


def wait_until(page: Any, condition: str) -> None:
    """Playwright's own wait evaluates a string in the page, which the page's policy forbids."""
    while not page.evaluate(condition):
        page.wait_for_timeout(50)


def chosen(page: Any) -> Any:
    return page.locator(".example .word[aria-pressed=true]")


# ------------------------------------------------------------------------------------------------------ maps


def test_hovering_a_word_shows_its_map_and_its_true_box(open_page: OpenPage) -> None:
    page = open_page([photo_record()])
    canvas = page.locator(".view canvas")
    expect(canvas).to_have_attribute(
        "aria-label", re.compile("map of the word dog: most weight in row 2 of 4, column 3 of 6")
    )
    dog = canvas.evaluate(PIXELS)
    expect(page.locator(".view .box")).to_have_count(1)
    words(page).nth(0).hover()
    expect(canvas).to_have_attribute("aria-label", re.compile("map of the word a:"))
    assert canvas.evaluate(PIXELS) != dog
    expect(page.locator(".view .box")).to_have_count(0)
    page.locator(".example h2 span").nth(2).hover()  # the words of the caption do the same
    expect(page.locator(".view .box")).to_have_count(1)
    assert canvas.evaluate(PIXELS) == dog


def test_true_cells_are_flat_where_smooth_maps_are_not(open_page: OpenPage) -> None:
    record = photo_record()
    record.source[:] = 128
    page = open_page([record])
    colors = """canvas => {
      const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size;
    }"""
    canvas = page.locator(".view canvas")
    expect(chosen(page)).to_have_text(re.compile("dog"))
    assert canvas.evaluate(colors) > 20
    pick(page, "Map", "cells")
    assert canvas.evaluate(colors) == 2  # of the one strong cell and of all others


def test_marks_are_explained_where_there_are_some(open_page: OpenPage) -> None:
    truth, marks = text_record(), text_record()
    truth.links = {0: ((0, 1),)}
    marks.links, marks.references = {}, ["another text"]
    for record, cyan, beside in ((truth, True, bool(truth.references)), (marks, False, True)):
        page = open_page([record])
        assert ("Cyan" in page.locator("#legend-text").inner_text()) == cyan
        assert page.locator("#reference-marks").is_visible() == beside
    marks.references = []
    assert not open_page([marks]).locator("#reference-marks").is_visible()


def test_one_scale_for_the_page_and_a_switch_that_says_so(open_page: OpenPage) -> None:
    weak = photo_record("weak")
    weak.weights[-1] = 1 / 24
    page = open_page([photo_record("strong"), weak])
    maps = page.locator(".view canvas")
    expect(maps).to_have_count(2)
    expect(page.locator("#ticks span").last).to_have_text("0.73")
    flat = page.locator("[data-number='1'] .view canvas").evaluate(PIXELS)
    pick(page, "Color scale", "word")
    expect(page.locator("#ticks span").last).to_have_text("100%")
    expect(page.locator("#legend-text")).to_contain_text("cannot be compared")
    assert page.locator("[data-number='1'] .view canvas").evaluate(PIXELS) != flat


def test_the_overlay_can_be_switched_off_by_hand_and_by_key(open_page: OpenPage) -> None:
    page = open_page([photo_record()])
    canvas, overlay = page.locator(".view canvas"), page.get_by_role("checkbox", name="Overlay")
    expect(canvas).to_be_visible()
    overlay.uncheck()
    expect(canvas).to_be_hidden()
    expect(page.locator(".view .peak")).to_have_count(0)
    expect(page.locator(".view .box")).to_have_count(1)  # the truth stays
    page.locator(".example .word").nth(2).focus()
    page.keyboard.press("m")
    expect(canvas).to_be_visible()
    expect(overlay).to_be_checked()


def test_a_uniform_map_leaves_the_photo_gray_and_is_called_so(open_page: OpenPage) -> None:
    record = photo_record()
    record.source[:] = 128
    page = open_page([record])
    spread = """canvas => {
      const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      let most = 0;
      for (let p = 0; p < data.length; p += 4) most = Math.max(most, Math.abs(data[p] - data[p + 2]));
      return most;
    }"""
    canvas = page.locator(".view canvas")
    assert canvas.evaluate(spread) > 100  # the sharp one has color
    words(page).nth(0).hover()
    assert canvas.evaluate(spread) <= 2
    expect(words(page).nth(0)).to_contain_text("nearly uniform")
    expect(page.locator(".said")).to_contain_text("nearly uniform: it points nowhere")
    expect(words(page).nth(2)).not_to_contain_text("nearly uniform")


def test_a_text_is_marked_against_its_reference(open_page: OpenPage) -> None:
    record = photo_record(words="a big dog runs")
    record.references = ["the cat", "a red dog runs fast"]
    record.others = [photo_record(words="a red dog runs fast")]
    record.others[0].references = record.references
    page = open_page([record])
    line = page.locator(".references summary")
    expect(line).to_contain_text("closest of 2 references (1 replaced, 1 missed)")
    expect(line.locator(".swap")).to_have_text("missed: red→added: big")
    expect(line.locator("> del")).to_have_text("missed: fast")
    line.click()
    expect(page.locator(".references li")).to_have_text(["the cat"])
    page.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    expect(line).to_contain_text("✓ the same words")


def test_heads_can_be_seen_alone(open_page: OpenPage) -> None:
    record = photo_record(heads=2)
    record.weights[-1, 1] = 1 / 24
    page = open_page([record])
    numbers = words(page).nth(2)
    expect(numbers).to_contain_text("peak 0.41")
    mean = page.locator(".view canvas").evaluate(PIXELS)
    pick(page, "Head", "2")
    expect(numbers).to_contain_text("peak 0.042")
    expect(numbers).to_contain_text("entropy 1.00")
    assert page.locator(".view canvas").evaluate(PIXELS) != mean


def test_the_slider_shows_the_other_hypotheses(open_page: OpenPage) -> None:
    record = photo_record()
    record.others = [photo_record(words="the dog"), photo_record(words="")]
    page = open_page([record])
    slider = page.get_by_role("slider")
    expect(page.locator("h2")).to_have_text("a red dog")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("h2")).to_have_text("the dog")
    expect(words(page)).to_have_count(2)
    expect(slider).to_have_attribute("aria-valuetext", "2 of 3: the dog")
    expect(slider).to_be_focused()
    page.keyboard.press("End")
    expect(page.locator("h2")).to_have_text("(empty hypothesis)")
    page.keyboard.press("Home")
    words(page).nth(1).focus()
    page.keyboard.press("n")
    expect(page.locator("h2")).to_have_text("the dog")
    expect(words(page).nth(1)).to_be_focused()


def test_a_gate_is_drawn_and_explained_where_there_is_one(open_page: OpenPage) -> None:
    gated = photo_record("gated")
    gated.gate, gated.gate_name = [0.25, 0.5, 1.0], "beta"
    page = open_page([gated, photo_record("plain")])
    expect(page.locator(".example .view")).to_have_count(2)
    bars = page.locator(".chart .bar-of")
    expect(bars).to_have_count(3)
    heights = bars.locator("i").evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().height)")
    assert heights[0] == pytest.approx(heights[2] / 4, rel=0.05)
    expect(page.get_by_role("img", name="Gate β of each token: a 0.25, red 0.50, dog 1.00")).to_be_visible()
    expect(page.get_by_text("how much of what attention read the decoder used")).to_be_visible()
    bars.nth(1).hover()
    expect(page.locator("[data-number='0'] .word[aria-pressed=true]")).to_contain_text("red")


def test_shares_of_streams_are_stacked_and_named(open_page: OpenPage) -> None:
    record = photo_record("streams")
    record.streams = {"what": np.array([0.25, 0.5, 1.0]), "where": np.array([0.75, 0.5, 0.0])}
    page = open_page([record])
    parts = page.locator(".chart .bar-of").first.locator("i")
    expect(parts).to_have_count(2)  # once the card is drawn
    heights = parts.evaluate_all("parts => parts.map(part => part.getBoundingClientRect().height)")
    assert heights[1] == pytest.approx(3 * heights[0], rel=0.05)
    name = "Drawn from of each token: a what 0.25, where 0.75; red what 0.50, where 0.50; dog what 1.00, where 0.00"
    expect(page.get_by_role("img", name=name)).to_be_visible()
    expect(page.locator(".share")).to_have_text(["what", "where"])


def test_a_model_without_attention_has_no_map(open_page: OpenPage) -> None:
    record = text_record()
    record.weights[:] = 0
    page = open_page([record])
    words(page).nth(1).hover()
    expect(page.locator(".said")).to_have_text("dog")
    expect(page.get_by_text("No map: this model has no attention.")).to_be_visible()
    expect(page.locator(".matrix")).to_have_count(0)
    assert words(page).nth(1).inner_text() == "dog"
    assert "entropy" not in page.locator(".example").inner_text()
    page.locator(".source-token").nth(2).hover()
    assert len(set(page.locator(".source-token").evaluate_all(BRIGHTNESS))) == 1


def test_what_was_copied_is_said(open_page: OpenPage) -> None:
    record = text_record()
    record.tokens[1], record.word_tokens[1] = "Hund", ("Hund", 1, 2)
    record.gate, record.gate_name, record.log_probs = [0.1, 0.9, 0.1], COPYING, [-0.1] * 3
    page = open_page([record])
    words(page).nth(1).hover()
    expect(page.locator(".said")).to_contain_text("copied from Hund")
    expect(page.locator(".word.copied")).to_have_text(re.compile("Hund"))
    words(page).nth(2).hover()
    expect(page.locator(".said")).to_contain_text("most on roter")


def test_words_of_two_texts_are_linked_both_ways(open_page: OpenPage) -> None:
    page = open_page([text_record()])
    sources = page.locator(".source-token")
    words(page).nth(1).hover()
    expect(page.locator(".said")).to_contain_text("most on Hund")
    assert int(np.argmax(sources.evaluate_all(BRIGHTNESS))) == 2
    sources.nth(1).hover()
    expect(page.locator(".said")).to_contain_text("roter · read most by red, weight 0.9")
    assert int(np.argmax(words(page).evaluate_all(BRIGHTNESS))) == 2
    sources.nth(0).focus()
    page.keyboard.press("ArrowRight")
    expect(sources.nth(1)).to_be_focused()
    matrix = page.locator(".matrix canvas").evaluate(
        "c => [c.width, c.height, [...c.getContext('2d').getImageData(3, 0, 1, 1).data]]"
    )
    assert matrix[:2] == [4, 3]
    assert matrix[2] == page.evaluate("[...heat.slice(-3), 255]")  # the page's largest weight: sleeps on schläft
    frames = page.locator(".matrix .truth").evaluate_all("all => all.map(({ style: s }) => [s.left, s.top, s.width])")
    assert frames == [["75%", "0%", "25%"], ["0%", "66.6667%", "25%"], ["25%", "66.6667%", "25%"]]


# ---------------------------------------------------------------------------------------------------- speech


def spoken(seconds: float = 8.0) -> Prediction:
    record = speech_record(seconds=seconds)
    record.source *= 0.1
    return record


def watch_audio(page: Any) -> None:
    page.locator("audio").evaluate(
        """audio => {
          window.heard = [];
          const play = audio.play;  // the event of it comes when the sound has gone on
          audio.play = () => (heard.push(['play', audio.currentTime]), play.call(audio));
          audio.addEventListener('pause', () => heard.push(['pause', audio.currentTime]));
        }"""
    )


@pytest.mark.parametrize("times", ["heard", "true"])
def test_a_word_plays_its_own_span(open_page: OpenPage, times: str) -> None:
    record = spoken()
    page = open_page([record])
    best = describe_example(record)["hypotheses"][0]
    start, end = {"heard": best["heard"][1], "true": best["times"][1]}[times]
    pick(page, "Times", times)
    expect(words(page)).to_have_count(2)
    watch_audio(page)
    words(page).nth(1).click()
    wait_until(page, "heard.length === 2")
    (first, began), (last, stopped) = page.evaluate("heard")
    assert (first, last) == ("play", "pause")
    assert began == pytest.approx(start, abs=0.01)
    assert stopped >= end - 0.01
    assert stopped < 8 - 0.01  # it did not run on to the end, however late a busy machine stops it


def test_playing_lights_up_the_word_that_is_heard(open_page: OpenPage) -> None:
    page = open_page([spoken(2.0)])
    play = page.get_by_role("button", name="play the recording")
    play.click()
    expect(words(page).nth(0)).to_have_class(re.compile(r"\bnow\b"))
    expect(page.locator(".plot .head")).to_be_visible()
    expect(words(page).nth(1)).to_have_class(re.compile(r"\bnow\b"))
    expect(page.locator(".word.now")).to_have_count(0)  # at its end it stops, and no word is lit
    expect(play).to_be_visible()


def test_true_words_that_were_missed_stand_in_the_lane_of_truth(open_page: OpenPage) -> None:
    record = spoken(1.0)
    record.text, record.times = "go up", {0: Span(0.0, 0.4)}
    record.true_words = [("go", Span(0.0, 0.4)), ("right", Span(0.4, 0.6)), ("now", Span(0.6, 1.0))]
    page = open_page([record])
    lane = page.locator(".lane > span")
    expect(lane).to_have_count(3)
    missed = page.locator(".lane .missed")
    expect(missed).to_have_text(["right (written as up)", "now (missed)"])
    lefts = missed.evaluate_all("nodes => nodes.map(node => node.style.left)")
    assert lefts == ["40%", "60%"]


def test_recording_and_matrix_share_one_axis(open_page: OpenPage) -> None:
    page = open_page([spoken(1.0)])
    expect(page.locator(".lane span")).to_have_count(2)  # drawn when it comes into view
    expect(page.locator(".mel .line")).to_have_count(4)
    lefts = "nodes => nodes.map(node => Math.round(node.getBoundingClientRect().left))"
    truth = page.locator(".lane span").evaluate_all(lefts)
    assert truth == page.locator(".matrix .truth").evaluate_all(lefts)
    assert truth == page.locator(".mel .line").evaluate_all(lefts)[::2]  # of each word its start, then its end
    box = page.locator(".matrix").bounding_box()
    assert truth[1] == pytest.approx(box["x"] + 0.4 * box["width"], abs=2)


# --------------------------------------------------------------------------------------------- live sessions


def go_to(page: Any, seconds: float) -> None:
    """As if a reader had paused there."""
    page.evaluate(
        """seconds => new Promise((done) => {
          const { view } = examples[0];
          const come = () => (view.follow(), done());
          view.audio.addEventListener("seeked", come, { once: true });
          view.audio.currentTime = seconds;
        })""",
        seconds,
    )


def shown(page: Any) -> list[list[str]]:
    """Names in the headline, the buttons and the matrix; those that are not sure in brackets."""
    found: list[list[str]] = page.evaluate(
        """() => [examples[0].title, examples[0].view.buttons, examples[0].view.names].map((nodes) => nodes
          .filter((node) => node.checkVisibility({ visibilityProperty: true }))
          .map((node) => node.querySelector(".name")?.textContent ?? node.textContent)
          .map((name, i) => (nodes[i].classList.contains("tentative") ? `[${name}]` : name)))"""
    )
    return found


def test_a_live_session_is_shown_as_it_was_written(open_page: OpenPage) -> None:
    page = open_page([live_record()])
    expect(words(page)).to_have_count(3)
    assert shown(page) == [["go", "right", "now"]] * 3  # all of it, until it is played
    expect(page.locator(".future")).to_be_hidden()
    for seconds, expected in (
        (0.3, []),
        (0.6, ["[go]"]),
        (1.05, ["go", "[light]"]),
        (1.2, ["go"]),
        (1.4, ["go", "[right]"]),
        (2.2, ["go", "right", "[now]"]),
        (2.6, ["go", "right", "now"]),
    ):
        go_to(page, seconds)
        assert shown(page) == [expected] * 3, seconds
        now = page.locator(".plot .over").bounding_box()
        future, unsure = page.locator(".future").bounding_box(), page.locator(".unsure")
        assert future["x"] - now["x"] == pytest.approx(seconds / 3 * now["width"], abs=2)
        assert future["x"] + future["width"] == pytest.approx(now["x"] + now["width"], abs=1)
        sure = len([name for name in expected if not name.startswith("[")])
        assert unsure.evaluate("node => parseFloat(node.style.top) / examples[0].view.row") == sure
    page.get_by_role("checkbox", name="as it was written").uncheck()
    assert shown(page) == [["go", "right", "now"]] * 3
    expect(page.locator(".future")).to_be_hidden()


def test_words_of_a_live_session_pass_below_the_axis_and_the_tracks(open_page: OpenPage) -> None:
    page = open_page([live_record()])
    expect(words(page)).to_have_count(3)  # the last to be drawn
    layers = page.locator(".plot > .side").evaluate_all("sides => sides.map(one => +getComputedStyle(one).zIndex)")
    tokens = layers.pop(2)
    assert len(layers) == 3
    assert min(layers) > tokens


def test_a_live_session_grows_while_it_plays_and_is_whole_at_its_end(open_page: OpenPage) -> None:
    page = open_page([live_record()])
    expect(words(page)).to_have_count(3)
    page.get_by_label("Speed").select_option("2")
    page.get_by_role("button", name="play the recording").click()
    expect(page.locator(".future")).to_be_visible()
    assert page.evaluate("examples[0].view.audio.playbackRate") == 2
    expect(page.get_by_role("button", name="play the recording")).to_be_visible()  # it has ended
    expect(page.locator(".future")).to_be_hidden()
    assert shown(page) == [["go", "right", "now"]] * 3
    words(page).nth(1).click()
    expect(page.locator(".said")).to_contain_text(
        "shown: “light” from 1.00 s, nothing from 1.10 s, “right” from 1.30 s; sure at 1.50 s"
    )
    expect(page.locator(".future")).to_be_hidden()  # a word alone is heard within the whole
    assert page.evaluate("examples[0].view.audio.playbackRate") == 1


def test_waits_stand_in_the_rows_of_their_words(open_page: OpenPage) -> None:
    page = open_page([live_record()])
    expect(page.locator(".matrix .wait")).to_have_count(3)
    found = page.locator(".matrix .wait").evaluate_all("all => all.map(({ style: s }) => [s.left, s.width, s.top])")
    row = page.evaluate("examples[0].view.row")
    assert found[1] == ["33.3333%", "16.6667%", f"{row}px"]
    colors = page.locator(".matrix .wait").evaluate_all("all => all.map(node => node.style.background)")
    assert [re.search(r"var\(--early\) ([\d.]+)%", color)[1] for color in colors] == ["0.0000", "60.0000", "0.0000"]


# -------------------------------------------------------------------------------------------------- keyboard


def test_the_keyboard_alone_is_enough(open_page: OpenPage) -> None:
    page = open_page([photo_record("one"), photo_record("two", words="the cat")])
    expect(page.locator(".view canvas")).to_have_count(2)
    page.keyboard.press("j")
    first = page.locator(".example").nth(0).locator(".word")
    expect(first.nth(0)).to_be_focused()
    expect(first.nth(0)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("ArrowRight")
    expect(first.nth(1)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("End")
    expect(first.last).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(first.nth(-2)).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Home")
    expect(first.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator(".example").nth(1).locator(".word").nth(0)).to_be_focused()
    page.keyboard.press("k")
    expect(first.nth(0)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".example").nth(0).locator(".word[aria-pressed=true]")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.get_by_label("Find")).to_be_focused()
    page.keyboard.type("j")  # a letter here, no command
    expect(page.get_by_label("Find")).to_have_value("j")


def test_everything_to_press_or_fill_has_a_name(open_page: OpenPage) -> None:
    record = photo_record(heads=2)
    record.others = [photo_record(words="a dog", heads=2)]
    page = open_page([record, speech_record(), text_record()], {"wer": 0.1})
    expect(page.locator(".example .said")).to_have_count(3)
    nameless = page.evaluate(
        """[...document.querySelectorAll('button, input, select, a, canvas[role], img, summary')].filter(node =>
          node.checkVisibility() && !(node.getAttribute('aria-label') || node.alt || node.textContent.trim() ||
          node.labels?.[0]?.textContent.trim())).map(node => node.outerHTML)"""
    )
    assert nameless == []


# ------------------------------------------------------------------------------------------- sort, filter, link


def several() -> list[Prediction]:
    """Best score first. The last has a flag; by ROUGE-L they are worth 1/3, 1, 2/3 and 0.27."""
    texts = ["a small cat", "a red dog", "a blue dog", "the dog dog dog dog"]
    records = [photo_record(f"key {number}", words=text) for number, text in enumerate(texts)]
    for number, record in enumerate(records):
        record.score = -0.1 * number
        record.references = ["a red dog"]
        record.weights[-1, 0, 8] -= 0.1 * number
    records[3].flags = ["looped"]
    return records


def test_worst_first_then_any_order(open_page: OpenPage) -> None:
    page = open_page(several())
    assert page.evaluate(ORDER) == ["key 3", "key 0", "key 2", "key 1"]
    for order, keys in {"score:high": "0123", "score:low": "3210", "rouge_l:high": "1203", "key": "0123"}.items():
        pick(page, "Sort", order)
        assert page.evaluate(ORDER) == [f"key {number}" for number in keys]


def test_examples_can_be_filtered_by_text_flag_and_measure(open_page: OpenPage) -> None:
    page = open_page(several())
    page.get_by_label("Find").fill("BLUE")
    assert page.evaluate(ORDER) == ["key 2"]
    expect(page.get_by_role("status").filter(has_text="1 of 4 examples")).to_be_visible()
    page.get_by_label("Find").fill("")
    pick(page, "Flag", "looped")
    assert page.evaluate(ORDER) == ["key 3"]
    pick(page, "Flag", "none")
    assert "key 3" not in page.evaluate(ORDER)
    pick(page, "Flag", "")
    pick(page, "Measure", "score")
    page.get_by_label("bound of the measure").fill("-0.15")
    assert sorted(page.evaluate(ORDER)) == ["key 0", "key 1"]
    pick(page, "at least or at most", "most")
    assert sorted(page.evaluate(ORDER)) == ["key 2", "key 3"]
    page.get_by_label("Find").fill("nowhere")
    expect(page.get_by_text("No example fits this filter.")).to_be_visible()


def test_a_link_leads_to_its_example(open_page: OpenPage) -> None:
    records = [photo_record(f"photos/{number} ä.jpg") for number in range(60)]
    page = open_page(records, fragment="#photos%2F57%20%C3%A4.jpg")
    linked = page.locator(".example.linked")
    expect(linked).to_have_attribute("data-number", "57")
    expect(linked).to_be_in_viewport()
    page.get_by_label("Find").fill("photos/3 ")
    page.evaluate("location.hash = encodeURIComponent('photos/8 ä.jpg')")
    expect(linked).to_have_attribute("data-number", "8")  # the filter that hid it is taken off
    expect(linked).to_be_in_viewport()
    expect(page.get_by_label("Find")).to_have_value("")


def test_few_figures_stand_at_the_top_and_all_can_be_unfolded(open_page: OpenPage) -> None:
    names = ["bleu_1", "bleu_4", "cider_d", "pointing_accuracy", "pointing_center", "attention_entropy"]
    page = open_page([photo_record()], dict.fromkeys([*names, *(f"other_{i}" for i in range(40))], 0.25))
    titles = page.locator("#headline dt")
    expect(titles).to_have_text(["CIDEr-D", "BLEU-4", "Pointing accuracy", "Attention entropy"])
    expect(page.locator("#headline .baseline")).to_have_text("Always the center: 25.0 %")
    table = page.get_by_role("table", name="Other figures")
    expect(table).to_be_hidden()
    page.get_by_text("all 46 figures").click()
    expect(table.get_by_role("rowheader", name="other_39")).to_be_visible()
    expect(page.get_by_role("table", name="Texts").get_by_role("rowheader")).to_have_count(3)
    heights = page.locator("#groups td").evaluate_all("cells => [...new Set(cells.map(cell => cell.offsetHeight))]")
    assert len(heights) == 1  # no number is broken over two lines


def test_the_page_says_how_many_examples_it_holds_of_how_many(open_page: OpenPage) -> None:
    page = open_page(several(), total=500)
    count = page.locator("#count")
    expect(count).to_have_text("4 of 500 examples")
    page.get_by_label("Find").fill("blue")
    expect(count).to_have_text("1 of 4 of 500 examples")


def test_one_example_needs_no_finding(open_page: OpenPage) -> None:
    page = open_page([photo_record()])
    expect(page.locator("#count")).to_be_hidden()
    expect(page.get_by_label("Find")).to_be_hidden()


# ---------------------------------------------------------------------------------------- safety, size, screens


def test_markup_in_data_stays_text(open_page: OpenPage) -> None:
    evil = "<script>alert(1)</script> <img src=x onerror=alert(2)> </script><b>bold</b>"
    record = photo_record(key=evil, words=evil)
    record.references, record.flags, record.gate_name = [evil, evil], [evil], evil
    record.gate = [0.5] * len(record.tokens)
    text = text_record(key=evil)
    text.source = np.array([evil, "b", "c", "d"])
    page = open_page([record, text], {evil: evil})
    expect(page.locator("[data-number='0'] h2")).to_have_text(evil)
    expect(page.locator(".source-token").first).to_have_text(evil)
    words(page).nth(0).hover()
    assert page.locator("main script, main b b, main img[src=x], header script, header b").count() == 0


def test_five_hundred_examples_are_drawn_only_where_they_are_seen(open_page: OpenPage) -> None:
    records = [photo_record(f"key {number:03}", words=f"dog {number}") for number in range(500)]
    for number, record in enumerate(records):
        record.score = -float(number)
    page = open_page(records)
    expect(page.locator("[data-number='499'] .view canvas")).to_be_visible()  # the worst
    expect(page.get_by_text("500 examples", exact=True)).to_be_visible()
    drawn = "document.querySelectorAll('.example .view').length"
    assert page.evaluate(drawn) < 30
    page.evaluate("window.held = [...document.querySelectorAll('.example')]")
    same = "held.every(node => node.isConnected) && held.length === document.querySelectorAll('.example').length"

    pick(page, "Sort", "score:high")
    expect(page.locator("[data-number='0'] .view canvas")).to_be_visible()
    assert page.evaluate(ORDER)[:2] == ["key 000", "key 001"]
    page.get_by_label("Find").fill("dog 37")
    expect(page.get_by_text("11 of 500 examples")).to_be_visible()
    page.locator("[data-number='37'] .word").nth(0).hover()
    expect(page.locator("[data-number='37'] .word[aria-pressed=true]")).to_contain_text("dog")
    page.get_by_label("Find").fill("")
    for number in range(49, 500, 50):
        page.locator(f"[data-number='{number}']").scroll_into_view_if_needed()
        expect(page.locator(f"[data-number='{number}'] .view canvas")).to_be_visible()
    wait_until(page, f"{drawn} < 30")  # what has been left behind is emptied again
    assert page.evaluate(same)


@pytest.mark.parametrize("record", [photo_record, speech_record, text_record])
def test_a_phone_needs_no_scrolling_sideways(open_page: OpenPage, record: Any) -> None:
    page = open_page([record()], {"cider_d": 0.5, "attention_entropy": 0.5}, width=360)
    expect(words(page).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_page_works_in_a_frame_of_a_notebook(browser: Any, tmp_path: Path) -> None:
    (tmp_path / "cell.html").write_text(f"<!doctype html><p>out</p>{html_of([photo_record(key='<b>')])}")
    page = browser.new_page()
    page.goto((tmp_path / "cell.html").as_uri())
    frame = page.frame_locator("iframe")
    expect(frame.locator(".view canvas")).to_be_visible()
    expect(frame.locator("header")).to_be_hidden()  # no title, no figures
    frame.locator(".word").nth(0).hover()
    expect(frame.locator(".said")).to_contain_text("nearly uniform")
    assert page.locator("iframe").get_attribute("sandbox") == "allow-scripts"
    page.close()


def test_dark_and_light_follow_the_reader(open_page: OpenPage) -> None:
    def brightness(page: Any) -> int:
        return page.locator("body").evaluate_all(BRIGHTNESS)[0]

    assert brightness(open_page([photo_record()], color_scheme="dark")) < 150
    assert brightness(open_page([photo_record()], color_scheme="light")) > 600


# --------------------------------------------------------------------------------------------- self-attention


def unfold(page: Any) -> Any:
    page.locator(".layers summary").click()
    return page.locator(".layers")


def test_layers_are_unpacked_when_they_are_opened_and_not_before(open_page: OpenPage) -> None:
    page = open_page([with_layers(text_record())])
    expect(words(page).first).to_be_visible()
    layers = page.locator(".layers")
    expect(layers.locator("summary")).to_have_text(
        "Self-attention: encoder 2 layers × 2 heads, decoder 2 layers × 2 heads"
    )
    assert page.evaluate("document.querySelectorAll('.layers canvas').length") == 0
    unfold(page)
    expect(layers.locator(".head-map")).to_have_count(4)
    expect(layers.locator(".tabs button")).to_have_text(["encoder (2 × 2)", "decoder (2 × 2)", "rollout"])


def test_a_token_shows_what_it_reads_in_the_chosen_head(open_page: OpenPage) -> None:
    page = open_page([with_layers(text_record())])
    layers = unfold(page)
    layers.locator(".head-map").first.click()
    expect(layers.locator(".head-figures")).to_contain_text("layer 1, head 1 · entropy 0 · distance 0.75 tokens")
    expect(layers.locator(".head-figures")).to_contain_text("positional 0.75 (peak at +1)")
    tokens = layers.locator(".source-token")
    tokens.nth(1).hover()
    expect(layers.locator(".said")).to_have_text("roter reads most Hund, weight 1")
    assert tokens.evaluate_all(BRIGHTNESS).index(max(tokens.evaluate_all(BRIGHTNESS))) == 2
    expect(tokens.nth(1)).to_have_class(re.compile("reads"))
    before = layers.locator(".square canvas").evaluate(PIXELS)
    tokens.nth(1).press("ArrowRight")
    expect(layers.locator(".said")).to_have_text("Hund reads most schläft, weight 1")
    layers.locator(".head-map").nth(3).click()
    expect(layers.locator(".head-map").nth(3)).to_have_attribute("aria-pressed", "true")
    assert layers.locator(".square canvas").evaluate(PIXELS) != before
    layers.get_by_role("button", name="decoder").click()
    expect(tokens).to_have_text(["⟨start⟩", "sleeps", "dog"])
    layers.locator(".head-map").first.click()
    tokens.nth(0).hover()
    expect(layers.locator(".said")).to_have_text("⟨start⟩, to write sleeps, reads most sleeps, weight 1")


def test_a_patch_lights_up_the_patches_that_it_reads(open_page: OpenPage) -> None:
    page = open_page([with_layers(photo_record(), extra=1)])
    layers = unfold(page)
    layers.locator(".head-map").first.click()
    photo = layers.locator(".patches .view")
    box = photo.bounding_box()
    photo.hover(position={"x": box["width"] * 1.5 / 6, "y": box["height"] * 1.5 / 4})
    expect(layers.locator(".said")).to_have_text("row 2, column 2 reads most row 2, column 3, weight 1")
    frame = layers.locator(".box.reads")
    expect(frame).to_have_css("left", f"{box['width'] / 6:g}px")
    lit = layers.locator(".patches canvas").evaluate(PIXELS)
    layers.get_by_role("button", name="class token").hover()
    expect(layers.locator(".said")).to_have_text("the class token reads most row 1, column 1, weight 1")
    expect(frame).to_be_hidden()
    assert layers.locator(".patches canvas").evaluate(PIXELS) != lit


def test_a_step_of_a_recording_lights_up_the_steps_that_it_reads(open_page: OpenPage) -> None:
    page = open_page([with_layers(speech_record())])
    layers = unfold(page)
    layers.locator(".head-map").first.click()
    strip = layers.locator(".heard")
    box = strip.bounding_box()
    strip.hover(position={"x": box["width"] * 10.5 / 25, "y": 10})
    expect(layers.locator(".said")).to_have_text("0.40 to 0.44 s reads most 0.44 to 0.48 s, weight 1")
    expect(layers.locator(".range")).to_be_visible()


def test_cells_that_were_pooled_are_said_to_be(open_page: OpenPage) -> None:
    page = open_page([with_layers(text_record(), cells=2)])
    layers = unfold(page)
    expect(layers.locator(".how")).to_contain_text("2 tokens in a row are one cell here")
    layers.locator(".source-token").nth(3).hover()
    expect(layers.locator(".said b")).to_have_text("Hund schläft")


@pytest.mark.parametrize("make", [photo_record, speech_record, text_record])
def test_rollout_stands_beside_the_map_of_the_chosen_word(open_page: OpenPage, make: Any) -> None:
    page = open_page([with_layers(make())])
    layers = unfold(page)
    layers.get_by_role("button", name="rollout").click()
    expect(layers.locator("figure")).to_have_count(2)
    words(page).nth(1).hover()
    expect(layers.locator(".rollout > .source [aria-pressed=true]")).to_have_count(1)
    name = words(page).nth(1).locator(".name").text_content().split()[0]
    expect(layers.locator(".said b")).to_have_text(name)
    layers.locator(".rollout > .source .source-token").first.hover()  # and the other way round
    expect(words(page).first).to_have_attribute("aria-pressed", "true")


def test_layers_of_fifty_examples_are_drawn_for_the_one_that_is_opened(open_page: OpenPage) -> None:
    page = open_page([with_layers(text_record(f"sentence {number}")) for number in range(50)])
    expect(words(page).first).to_be_visible()
    page.locator(".layers summary").first.click()
    expect(page.locator(".head-map")).to_have_count(4)
