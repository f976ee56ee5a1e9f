"""A real browser for the inspection page: the system's Chromium, driven by Playwright."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from multimodal_attn.inspection.page.page import write_page
from multimodal_attn.prediction.prediction import Prediction

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE_MS = 60_000  # for a busy machine: nothing here measures time

OpenPage = Callable[..., Any]


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The browser, whose microphone hears noise.

    Without one the tests are skipped where a person runs them, and fail where CI is set.
    """
    missing = None
    if CHROMIUM is None:
        missing = "no chromium, chromium-browser or google-chrome on the PATH"
    elif importlib.util.find_spec("playwright") is None:
        missing = "the package playwright, of the extra `dev`, is not installed"
    if missing is not None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"browser tests need a browser: {missing}")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # Chromium refuses its sandbox to root, whom containers run everything as.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        sound = tmp_path_factory.mktemp("microphone") / "noise.wav"
        soundfile.write(sound, 0.3 * np.random.default_rng(0).standard_normal(32_000), 16_000)
        arguments += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        arguments += [f"--use-file-for-fake-audio-capture={sound}"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[OpenPage]:
    """Writes a page of records and opens it as a file; afterwards nothing may have gone wrong or have been loaded."""
    troubles: list[str] = []
    contexts = []

    def open_(
        records: Sequence[Prediction],
        metrics: dict[str, Any] | None = None,
        fragment: str = "",
        width: int = 1280,
        total: int | None = None,
        **options: Any,
    ) -> Any:
        address = write_page(records, tmp_path / "index.html", "a run: val", metrics, total=total).as_uri()
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: message.type == "error" and troubles.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: troubles.append(f"uncaught: {error}"))
        page.on("dialog", lambda dialog: (troubles.append(f"dialog: {dialog.message}"), dialog.dismiss()))

        def check(request: Any) -> None:
            if request.url.split("#")[0] != address and not request.url.startswith(("data:", "blob:")):
                troubles.append(f"request: {request.url}")

        page.on("request", check)
        page.goto(f"{address}{fragment}")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not troubles
