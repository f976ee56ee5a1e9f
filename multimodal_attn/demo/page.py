"""The page: what is given on the left, what each model makes of it beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from multimodal_attn.demo.asking import Asked, answer
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.prediction.sources import examples_of
from multimodal_attn.serving.limits import Limits
from multimodal_attn.types import Modality

TITLES: dict[Modality, str] = {"picture": "Show a picture", "recording": "Say something", "text": "Write a sentence"}
_FONTS = ["system-ui", "sans-serif"]
# Nothing that the page shows may fetch from, or send to, anywhere but here.
_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'; form-action 'self';"
    " base-uri 'self'"
)
_STYLE = """
.gradio-container { width: 100%; max-width: 1700px !important; margin: auto; }
.trouble { margin: 0; padding: .8rem 1rem; border-left: 4px solid #b00020; border-radius: 6px; background: #b0002014;
  font-size: 1.05rem; }
.given img { width: 100%; height: 100%; object-fit: contain; }
.hint { color: var(--body-text-color-subdued); }
"""


def build_page(predictors: Sequence[Predictor], limits: Limits, examples: Sequence[Path] = ()) -> gradio.Blocks:
    """The page of some models: a tab for each kind of source, in which all that read it answer side by side.

    Args:
        predictors: the models.
        limits: of what is given.
        examples: files of which each is a click, for the models that read such; of texts, each line.
    """
    kinds = list(dict.fromkeys(predictor.reader.modality for predictor in predictors))
    with gradio.Blocks(title="Try it", analytics_enabled=False, delete_cache=(600, 600), fill_width=True) as page:
        gradio.Markdown("# What does it see, hear, read?" if len(kinds) > 1 else f"# {TITLES[kinds[0]]}")
        for kind in kinds:
            asked = [predictor for predictor in predictors if predictor.reader.modality == kind]
            tries = _tries(asked, examples)
            if len(kinds) == 1:
                _panel(kind, asked, limits, tries)
            else:
                with gradio.Tab(TITLES[kind]):
                    _panel(kind, asked, limits, tries)
    return page


def as_application(page: gradio.Blocks, limits: Limits) -> ASGIApp:
    """What serves the page, and whose answers a browser may not use to reach anything else."""
    theme = gradio.themes.Soft(primary_hue="cyan", neutral_hue="slate", font=_FONTS, font_mono=["monospace"])
    app = gradio.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page,
        path="",
        footer_links=[],
        max_file_size=limits.max_bytes,
        ssr_mode=False,
        show_error=True,
        theme=theme,
        css=_STYLE,
    )
    return _contained(app)


def _panel(kind: Modality, predictors: Sequence[Predictor], limits: Limits, tries: Sequence[str]) -> None:
    """What is given, the sliders, and a place for each model's answer."""
    with gradio.Row(equal_height=False):
        with gradio.Column(scale=1, min_width=280):
            source, triggers = _source(kind, limits)
            button = gradio.Button("Ask", variant="primary")
            loaded = _offer(tries, source) if tries else None
            with gradio.Accordion("How it writes", open=False):
                longest = min(predictor.search.max_length for predictor in predictors)
                width = gradio.Slider(1, limits.max_width, 5, step=1, label="Beam", info="texts written side by side")
                shortest = gradio.Slider(0, min(50, longest), 0, step=1, label="Shortest", info="tokens of a text")
                most = gradio.Slider(1, longest, longest, step=1, label="Longest", info="tokens of a text")
                draw = gradio.Checkbox(False, label="Draw texts at random", info="as many as the beam is wide")
                heat = gradio.Slider(0.1, 2, 1, step=0.1, label="Temperature", info="of drawing; below 1: less random")
        with gradio.Column(scale=3), gradio.Row(equal_height=False):
            hint = f'<p class="hint">{" and ".join(predictor.name for predictor in predictors)}</p>'
            places = [
                gradio.HTML(hint if number == 0 else "", min_height=200, elem_classes="answer")
                for number in range(len(predictors))
            ]

    def ask(
        given: str | None, width: int, shortest: int, most: int, draw: bool, heat: float
    ) -> Iterator[dict[Any, Any]]:
        if not given or not given.strip():
            yield {place: gradio.skip() for place in places}
            return
        asked = Asked(int(width), int(shortest), int(most), float(heat) if draw else None)
        for place, predictor in zip(places, predictors, strict=True):  # each as soon as it is known
            yield {place: answer(predictor, given if kind == "text" else Path(given), asked, limits)}

    inputs = [source, width, shortest, most, draw, heat]
    changes = [slider.release for slider in (width, shortest, most, heat)] + [draw.input]
    # What is given while an answer is still being made is asked next, not dropped.
    waiting: dict[str, Any] = {"trigger_mode": "always_last", "api_visibility": "private"}
    gradio.on([button.click, *triggers, *changes], ask, inputs, places, **waiting)
    if loaded is not None:
        loaded.then(ask, inputs, places, **waiting)


def _source(kind: Modality, limits: Limits) -> tuple[Any, list[Any]]:
    """Where something is given, and what says that it is there."""
    if kind == "text":
        text = gradio.Textbox(label="A sentence", lines=3, max_length=limits.max_characters, autofocus=True)
        return text, [text.submit]
    if kind == "picture":
        # As the file is: the model's own reader turns it upright, and says what is wrong with it.
        picture = gradio.Image(
            label="A picture",
            sources=["upload", "clipboard", "webcam"],
            type="filepath",
            image_mode=None,
            height=320,
            buttons=["fullscreen"],
            elem_classes="given",
        )
        picture.preprocess = _path  # type: ignore[method-assign]
        return picture, [picture.input]
    sound = gradio.Audio(
        label=f"A recording, at most {limits.max_seconds:g} s",
        sources=["microphone", "upload"],
        type="filepath",
        buttons=[],
    )
    return sound, [sound.stop_recording, sound.upload]


def _tries(predictors: Sequence[Predictor], examples: Sequence[Path]) -> list[str]:
    """What examples hold for models of one kind: paths, or texts."""
    reader, suffixes = predictors[0].reader, {suffix for predictor in predictors for suffix in predictor.suffixes}
    read = [path for path in examples if path.suffix.lower().lstrip(".") in suffixes]
    if reader.in_files:
        return [str(path.resolve()) for path in read]
    return [str(example.source) for path in read for example in examples_of(reader, path)]


def _offer(tries: Sequence[str], source: Any) -> Any:
    """Shows what can be tried; the event of one that was clicked and now lies in the source."""
    offered = gradio.Examples([[one] for one in tries], source, label="Or one of these", examples_per_page=12)
    source.keep_in_cache |= source.temp_files  # what people give is deleted after ten minutes, but not these
    return offered.load_input_event


def _path(payload: Any) -> str | None:
    return None if payload is None else payload.path


def _contained(app: ASGIApp) -> ASGIApp:
    async def contained(scope: Scope, receive: Receive, send: Send) -> None:
        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", _POLICY.encode())]
            await send(message)

        await app(scope, receive, adding if scope["type"] == "http" else send)

    return contained
