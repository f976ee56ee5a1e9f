"""The page to try models on, used as people use it: photos, a microphone, sliders; and nothing leaves the machine."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from multimodal_attn.demo import asking
from multimodal_attn.serving.limits import Limits
from multimodal_attn.serving.server import address_of, listening
from tests.inspection.browser.conftest import PATIENCE_MS
from tests.inspection.browser.test_page import expect

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of two models of pictures and one of recordings, which have learned nothing."""
    import uvicorn

    from multimodal_attn import load
    from multimodal_attn.demo.page import as_application, build_page
    from tests.export.folders import PICTURES, SPEECH, untrained_run

    folder = tmp_path_factory.mktemp("runs")
    predictors = [
        load(untrained_run(folder / f"{number}.ckpt", *settings))
        for number, settings in enumerate((PICTURES, PICTURES, SPEECH))
    ]
    limits = Limits(max_megabytes=1, max_megapixels=0.1)
    examples = [photo(folder / "example.png", (90, 60)), noise(folder / "example.wav")]
    with listening("127.0.0.1", 0) as listener, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("given")))
        app = as_application(build_page(predictors, limits, examples), limits)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield address_of("127.0.0.1", listener)
        server.should_exit = True
        thread.join()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page as it opens; afterwards nothing may have gone wrong, or have been asked for elsewhere."""
    troubles: list[str] = []
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, permissions=["microphone"])
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.on("console", lambda message: message.type == "error" and troubles.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: troubles.append(f"uncaught: {error}"))
    page.on(
        "request",
        lambda asked: asked.url.startswith((address, "data:", "blob:")) or troubles.append(f"request: {asked.url}"),
    )
    page.goto(address)
    expect(page.get_by_role("tab", name="Show a picture")).to_be_visible()
    yield page
    context.close()
    assert not troubles


def answers(page: Any) -> Any:
    """What stands in the frames that are to be seen."""
    return page.locator("iframe[title=attention]:visible")


def text_of(page: Any, number: int = 0) -> Any:
    return answers(page).nth(number).content_frame.locator(".example h2")


def give(page: Any, file: Path) -> None:
    page.locator("input[type=file]").first.set_input_files(file)


def photo(path: Path, size: tuple[int, int]) -> Path:
    pixels = np.random.default_rng(4).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size).save(path)
    return path


def noise(path: Path) -> Path:
    soundfile.write(path, 0.3 * np.random.default_rng(1).standard_normal(12_000), 16_000)
    return path


def test_two_models_answer_a_photo_side_by_side(page: Any, tmp_path: Path) -> None:
    give(page, photo(tmp_path / "photo.png", (90, 60)))
    expect(answers(page)).to_have_count(2)
    for number in range(2):
        expect(text_of(page, number)).not_to_be_empty()
        frame = answers(page).nth(number).content_frame
        expect(frame.locator(".view img")).to_be_visible()
        expect(frame.locator(".meta")).to_contain_text("photo.png")


def test_sliders_ask_again(page: Any, tmp_path: Path) -> None:
    give(page, photo(tmp_path / "photo.png", (90, 60)))
    expect(answers(page)).to_have_count(2)
    page.get_by_text("How it writes").first.click()
    beam = page.get_by_role("slider", name="Beam").first
    beam.focus()
    beam.press("Home")
    page.get_by_role("button", name="Ask").first.click()
    ranks = answers(page).first.content_frame.locator(".ranks")
    expect(ranks).to_have_count(0)  # a beam of one finds one text
    expect(text_of(page)).not_to_be_empty()
    expect(ranks).to_have_count(0)


def test_what_cannot_be_read_or_is_too_large_is_said(page: Any, tmp_path: Path) -> None:
    torn = photo(tmp_path / "torn.png", (90, 60))
    torn.write_bytes(torn.read_bytes()[:200])
    give(page, torn)
    said = page.locator("[role=alert].trouble")
    expect(said.first).to_contain_text("not a readable picture")
    page.get_by_label("Remove Image").first.click()
    give(page, photo(tmp_path / "large.png", (400, 300)))
    expect(said.first).to_contain_text("0.12 megapixels; expected at most 0.1")
    expect(answers(page)).to_have_count(0)


def test_what_is_given_while_it_still_answers_is_answered_too(
    page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = threading.Event()

    def answer(*given: Any) -> str:
        slow.wait(1)
        return asking.answer(*given)

    monkeypatch.setattr("multimodal_attn.demo.page.answer", answer)
    give(page, photo(tmp_path / "first.png", (90, 60)))
    page.get_by_label("Remove Image").first.click()
    give(page, photo(tmp_path / "large.png", (400, 300)))
    expect(page.locator("[role=alert].trouble")).to_have_count(2)
    expect(answers(page)).to_have_count(0)


def test_what_is_spoken_is_written(page: Any) -> None:
    page.get_by_role("tab", name="Say something").click()
    page.get_by_role("button", name="Record", exact=True).click()
    stop = page.get_by_role("button", name="Stop", exact=True)
    expect(stop).to_be_visible()
    expect(page.locator("time.duration:visible")).to_have_text(re.compile("[1-9]"))  # however late it begins to hear
    stop.click()
    expect(answers(page)).to_have_count(1)
    frame = answers(page).first.content_frame
    expect(text_of(page)).not_to_be_empty()
    expect(frame.get_by_role("button", name="Play")).to_be_visible()
    expect(frame.locator(".wave canvas")).to_be_visible()


def test_a_recording_that_is_dropped_is_written(page: Any, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Say something").click()
    page.get_by_role("button", name="Upload file").locator("visible=true").click()
    page.locator("[role=tabpanel]:visible input[type=file]").set_input_files(noise(tmp_path / "dropped.wav"))
    expect(answers(page)).to_have_count(1)
    expect(answers(page).first.content_frame.locator(".meta")).to_contain_text("dropped.wav")
    expect(text_of(page)).not_to_be_empty()


@pytest.mark.parametrize(("tab", "name", "number"), [("Show a picture", "example.png", 2), ("Say", "example.wav", 1)])
def test_an_example_is_a_click(page: Any, tab: str, name: str, number: int) -> None:
    page.get_by_role("tab", name=tab).click()
    page.locator("button.gallery-item:visible").click()  # a photo's has no name, but is the photo
    expect(answers(page)).to_have_count(number)
    expect(answers(page).first.content_frame.locator(".meta")).to_contain_text(name)
    expect(text_of(page)).not_to_be_empty()
