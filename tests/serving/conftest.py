"""Small exported models behind the application, without a socket."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient
from PIL import Image

from multimodal_attn.runtime import Runtime
from multimodal_attn.serving.app import build_app
from multimodal_attn.serving.limits import Limits

MakeClient = Callable[..., TestClient]


@pytest.fixture
def client_of() -> Iterator[MakeClient]:
    """Clients of a runtime's application, which ends with the test."""
    clients: list[TestClient] = []

    def make(runtime: Any, key: str | None = None, **limits: Any) -> TestClient:
        client = TestClient(build_app(runtime, Limits(**limits), key), raise_server_exceptions=False)
        client.__enter__()
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture(scope="session")
def runtime(exported: tuple[Path, Path]) -> Runtime:
    """Of pictures, then of recordings at 8 kHz."""
    return Runtime(exported[1], threads=1)


def files(reads: str, number: int) -> list[bytes]:
    """As many pictures or recordings, of unlike sizes."""
    generator, made = np.random.default_rng(2), []
    for place in range(number):
        content = io.BytesIO()
        if reads == "picture":
            pixels = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((40 + place, 50)).save(content, "PNG")
        else:
            samples = 0.3 * generator.standard_normal(3000 + 911 * place)
            soundfile.write(content, samples, 8000, "FLOAT", format="WAV")
        made.append(content.getvalue())
    return made
