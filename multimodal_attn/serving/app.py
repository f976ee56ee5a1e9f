"""An exported model over HTTP."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import FastAPI, File, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from multimodal_attn.prediction.answer import as_object
from multimodal_attn.runtime.description import Description
from multimodal_attn.runtime.output import Output
from multimodal_attn.runtime.runtime import Read, Runtime
from multimodal_attn.serving.answers import Answer, Error, Health, Sentence
from multimodal_attn.serving.guard import Guard
from multimodal_attn.serving.limits import Limits, TooLargeError
from multimodal_attn.serving.page import page
from multimodal_attn.serving.worker import Worker
from multimodal_attn.types import Modality, TokenAxis, UnreadableError


@dataclass(frozen=True)
class Task:
    """What is asked of models that read one kind of source.

    Attributes:
        path: of the address.
        does: what such a model does.
        takes: what a request holds.
    """

    path: str
    does: str
    takes: str


TASKS: dict[Modality, Task] = {
    "picture": Task("/caption", "writes captions of pictures", "a picture in the field file"),
    "recording": Task("/transcribe", "writes transcripts of recordings", "a recording in the field file"),
    "text": Task("/translate", "translates texts", '{"text": "..."}'),
}
Upload = Annotated[UploadFile, File(description="in any common format")]
Width = Annotated[int | None, Query(ge=1, description="of the beam; default: the model's")]
Attention = Annotated[bool, Query(description="also answer where the model looked for each word")]
_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": Error, "description": "not readable as what the model expects"},
    401: {"model": Error, "description": "no key, or another"},
    413: {"model": Error, "description": "beyond a limit"},
    422: {"model": Error, "description": "a field is missing, or a value is not what was expected"},
    503: {"model": Error, "description": "too many wait; Retry-After says for how many seconds"},
    504: {"model": Error, "description": "no answer in time"},
}


def build_app(runtime: Runtime, limits: Limits, key: str | None = None) -> FastAPI:
    """The application of a model; it decodes as long as it runs.

    Args:
        runtime: an exported model.
        limits: of requests.
        key: that requests must have; None for none.
    """
    description, task = runtime.description, TASKS[runtime.description.reads]
    worker = Worker(runtime, limits.waiting, limits.together, _longest(description, limits))

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(worker.close)

    app = FastAPI(
        title=description.name,
        version=version("multimodal_attn"),
        description=f"This model {task.does}.",
        docs_url=None,  # they are drawn by scripts from a network
        redoc_url=None,
        lifespan=living,
    )
    app.add_middleware(Guard, worker=worker, limits=limits, key=key, decoding=[task.path], open_paths=["/health"])
    _explain_errors(app, task)
    _answer_sources(app, runtime, worker, limits)

    @app.get("/health", response_model=Health, summary="How the server is")
    async def health() -> JSONResponse:
        """Needs no key. Where it no longer decodes, the status of the answer is 503."""
        content = Health(
            status="ok" if worker.alive else "ended",
            model=description.name,
            reads=description.reads,
            precision=description.precision,
            waiting=worker.placed,
            answered=worker.answered,
            refused=worker.refused,
        )
        return JSONResponse(content.model_dump(), 200 if worker.alive else 503)

    @app.get("/", response_class=HTMLResponse, summary="This description, as a page")
    async def described(request: Request) -> str:
        """Needs nothing from a network, and runs no script."""
        return page(app.openapi(), str(request.base_url).rstrip("/"), key is not None)

    return app


def _longest(description: Description, limits: Limits) -> float:
    """Of the sources that are taken, as the first graph counts them: no batch takes more memory than that."""
    if description.reads == "recording":
        return limits.max_seconds * description.sample_rate
    return math.inf if description.reads == "picture" else limits.max_characters + 1  # pictures are of one size


def _answer_sources(app: FastAPI, runtime: Runtime, worker: Worker, limits: Limits) -> None:
    reads, task = runtime.description.reads, TASKS[runtime.description.reads]

    async def decoded(source: bytes | str, width: int | None, attention: bool) -> JSONResponse:
        if width is not None and width > limits.max_width:
            raise HTTPException(422, f"width: {width}; expected at most {limits.max_width}")

        def reading() -> Read:
            limits.check(reads, source)
            return runtime.read(source, longest_seconds=limits.max_seconds)

        read = await asyncio.wrap_future(worker.read(reading))
        return JSONResponse(_object(await asyncio.wrap_future(worker.write(read, width)), attention))

    async def of_file(file: Upload, width: Width = None, attention: Attention = False) -> JSONResponse:
        return await decoded(await file.read(), width, attention)

    async def of_text(sentence: Sentence, width: Width = None, attention: Attention = False) -> JSONResponse:
        return await decoded(sentence.text, width, attention)

    answer: Callable[..., Awaitable[JSONResponse]] = of_text if reads == "text" else of_file
    summary = f"What the model writes for a {reads}"
    app.post(task.path, response_model=Answer, responses=_ERRORS, summary=summary)(answer)
    for other in TASKS.values():
        if other != task:
            app.post(other.path, include_in_schema=False)(_other_task(task, other))


def _other_task(task: Task, other: Task) -> Callable[[], Awaitable[JSONResponse]]:
    async def refused() -> JSONResponse:
        reason = f"{other.path}: this model {task.does}; expected POST {task.path} with {task.takes}"
        return JSONResponse({"error": reason}, 404)

    return refused


def _object(found: Output, attention: bool) -> dict[str, Any]:
    content = as_object(found, attention)
    if attention:
        layout = found.layout
        tokens = {"tokens": found.source.tolist()} if isinstance(layout, TokenAxis) else {}
        content["layout"] = asdict(layout) | tokens
    return content


def _explain_errors(app: FastAPI, task: Task) -> None:
    """Answers every error in JSON that says what was expected."""

    @app.exception_handler(UnreadableError)
    async def unreadable(request: Request, error: UnreadableError) -> JSONResponse:
        return JSONResponse({"error": error.reason}, 400)

    @app.exception_handler(TooLargeError)
    async def too_large(request: Request, error: TooLargeError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 413)

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> JSONResponse:
        found = [f"{'.'.join(map(str, one['loc'][1:])) or 'content'}: {one['msg']}" for one in error.errors()]
        return JSONResponse({"error": f"{'; '.join(found)}; expected {task.takes}"}, 422)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        reason = str(error.detail)
        if error.status_code in (404, 405):
            place = f"{request.method} {request.url.path}"
            reason = f"{place}: no such address; expected POST {task.path}, GET /health, GET / or GET /openapi.json"
        return JSONResponse({"error": reason}, error.status_code, dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": f"the server failed ({type(error).__name__}); its log says where"}, 500)
