"""What a server answers: texts as the runtime writes them, and errors that say what was expected."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from multimodal_attn.prediction.answer import as_object
from multimodal_attn.runtime import Runtime
from tests.serving.conftest import MakeClient, files

PATHS = {"picture": "/caption", "recording": "/transcribe", "text": "/translate"}


class Held:
    """A runtime that writes when it is let."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime, self.free, self.batches = runtime, threading.Event(), []
        self.description, self.together, self.read = runtime.description, runtime.together, runtime.read

    def write(self, sources: Any, width: int | None = None) -> Any:
        assert self.free.wait(60)
        self.batches.append(len(sources))
        return self.runtime.write(sources, width)


def path_of(runtime: Any) -> str:
    return PATHS[runtime.description.reads]


def post(client: Any, runtime: Any, content: bytes, **options: Any) -> Any:
    return client.post(path_of(runtime), files={"file": ("a file", content)}, **options)


def test_answers_are_what_the_runtime_writes(client_of: MakeClient, runtime: Runtime) -> None:
    client = client_of(runtime)
    (content,) = files(runtime.description.reads, 1)
    expected = runtime(content)
    found = post(client, runtime, content)
    assert found.status_code == 200
    assert found.json() == as_object(expected)
    assert "map" not in found.text
    narrow = post(client, runtime, content, params={"width": 1}).json()
    assert narrow == as_object(runtime(content, width=1))
    health = client.get("/health").json()
    assert (health["status"], health["answered"], health["waiting"]) == ("ok", 2, 0)


def test_attention_comes_on_request(client_of: MakeClient, runtime: Runtime) -> None:
    (content,) = files(runtime.description.reads, 1)
    found = post(client_of(runtime), runtime, content, params={"attention": True}).json()
    assert found["words"]
    for word, expected in zip(found["words"], runtime(content).words, strict=True):
        assert word["map"] == expected.map.astype(float).round(5).tolist()
    assert set(found["layout"]) in ({"rows", "columns"}, {"step_seconds", "offset_seconds"})


def test_what_waits_is_decoded_together_and_as_if_alone(client_of: MakeClient, runtime: Runtime) -> None:
    held = Held(runtime)
    client, contents = client_of(held), files(runtime.description.reads, 7)
    with ThreadPoolExecutor(7) as pool:
        asked = [pool.submit(post, client, runtime, content) for content in contents]
        while client.get("/health").json()["waiting"] < 7:
            pass
        held.free.set()
        found = [one.result().json() for one in asked]
    assert max(held.batches) > 1
    assert sum(held.batches) == 7
    for one, content in zip(found, contents, strict=True):
        expected = as_object(runtime(content))
        assert [one["text"], one["flags"]] == [expected["text"], expected["flags"]]
        assert [other["text"] for other in one["others"]] == [other["text"] for other in expected["others"]]
        assert one["score"] == pytest.approx(expected["score"], abs=2e-4)


def test_too_many_are_told_to_come_back(client_of: MakeClient, runtime: Runtime) -> None:
    held = Held(runtime)
    client, (content,) = client_of(held, waiting=2), files(runtime.description.reads, 1)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(post, client, runtime, content) for _ in range(2)]
        while client.get("/health").json()["waiting"] < 2:
            pass
        refused = post(client, runtime, content)
        held.free.set()
        assert [one.result().status_code for one in asked] == [200, 200]
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert "expected" in refused.json()["error"]
    assert client.get("/health").json()["refused"] == 1
    assert post(client, runtime, content).status_code == 200


def test_what_takes_too_long_is_given_up(client_of: MakeClient, runtime: Runtime) -> None:
    held = Held(runtime)
    client, (content,) = client_of(held, timeout_seconds=0.2), files(runtime.description.reads, 1)
    late = post(client, runtime, content)
    assert late.status_code == 504
    assert "0.2 s" in late.json()["error"]
    assert client.get("/health").json()["waiting"] == 0
    held.free.set()


@pytest.mark.parametrize(
    ("status", "said", "options"),
    [
        (400, "expects a", {"files": {"file": ("a.png", b"no such thing")}}),
        (422, "file: Field required; expected a", {"files": {"other": ("a.png", b"no such thing")}}),
        (422, "expected a", {"json": {"text": "a"}}),
        (413, "more than 0.01 MB", {"files": {"file": ("a.png", b"0" * 20_000)}}),
        (413, "more than 0.01 MB", {"content": [b"0" * 20_000]}),  # without a length in its header
    ],
)
def test_what_is_wrong_is_said(
    client_of: MakeClient, runtime: Runtime, status: int, said: str, options: dict[str, Any]
) -> None:
    if "content" in options:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        options = {"content": iter(options["content"]), "headers": headers}
    found = client_of(runtime, max_megabytes=0.01).post(path_of(runtime), **options)
    assert found.status_code == status
    assert said in found.json()["error"]
    assert " at 0x" not in found.text


def test_limits_of_sources_are_checked_before_they_are_decoded(client_of: MakeClient, runtime: Runtime) -> None:
    client = client_of(runtime, max_megapixels=0.001, max_seconds=0.1, max_width=3)
    (content,) = files(runtime.description.reads, 1)
    found = post(client, runtime, content)
    assert found.status_code == 413
    assert "expected at most" in found.json()["error"]
    assert post(client, runtime, content, params={"width": 4}).json()["error"] == "width: 4; expected at most 3"
    assert "width" in post(client, runtime, content, params={"width": "x"}).json()["error"]


def test_other_addresses_say_what_the_model_does(client_of: MakeClient, runtime: Runtime) -> None:
    client, own = client_of(runtime), path_of(runtime)
    for path in {*PATHS.values()} - {own}:
        found = client.post(path, files={"file": ("a", b"a")})
        assert found.status_code == 404
        assert f"expected POST {own}" in found.json()["error"]
    assert client.get("/nowhere").status_code == 404
    assert own in client.get("/nowhere").json()["error"]
    assert client.get(own).status_code == 405


def test_a_key_is_asked_for_before_anything_is_read(client_of: MakeClient, runtime: Runtime) -> None:
    key = "a-key-of-some-length"
    client, (content,) = client_of(runtime, key), files(runtime.description.reads, 1)
    for given in (
        {},
        {"Authorization": key},
        {"Authorization": f"Bearer {key[:-1]}"},
        {"Authorization": b"Bearer \xe9"},
    ):
        found = client.post(path_of(runtime), headers=given, content=b"0")
        assert found.status_code == 401
        assert "Bearer KEY" in found.json()["error"]
    assert client.get("/openapi.json").status_code == 401
    assert client.get("/health").status_code == 200
    assert post(client, runtime, content, headers={"Authorization": f"Bearer {key}"}).status_code == 200


def test_a_failure_is_an_answer_and_the_next_one_is_served(client_of: MakeClient, runtime: Runtime) -> None:
    held = Held(runtime)
    held.free.set()
    write, held.write = held.write, lambda sources, width=None: 1 // 0  # type: ignore[method-assign]
    client, (content,) = client_of(held), files(runtime.description.reads, 1)
    found = post(client, runtime, content)
    assert found.status_code == 500
    assert "ZeroDivisionError" in found.json()["error"]
    held.write = write  # type: ignore[method-assign]
    assert post(client, runtime, content).status_code == 200


def test_the_page_and_the_schema_describe_the_model(client_of: MakeClient, runtime: Runtime) -> None:
    client = client_of(runtime)
    schema = client.get("/openapi.json").json()
    assert set(schema["paths"]) == {path_of(runtime), "/health", "/"}
    page = client.get("/").text
    assert f"http://testserver{path_of(runtime)}" in page
    assert "words.probability" in page
    assert "<script" not in page
    assert 'src="' not in page
