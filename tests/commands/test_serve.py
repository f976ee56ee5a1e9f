"""A server as a process: without torch, and ended by a signal with what waits answered."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from multimodal_attn.__main__ import main
from multimodal_attn.commands.serve import KEY_VARIABLE
from multimodal_attn.runtime import Runtime
from tests.runtime.test_runtime import WITHOUT
from tests.serving.conftest import files

pictures = pytest.mark.parametrize("exported", ["pictures"], indirect=True)
KEY = "a-key-of-some-length"
SCRIPT = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {tuple({*WITHOUT} - {"pydantic", "annotated_types"})}:
            raise ImportError(name)

sys.meta_path.insert(0, Missing())
from multimodal_attn.__main__ import main

sys.exit(main(sys.argv[1:]))
"""


def ask(address: str, content: bytes) -> Any:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + content + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Authorization": f"Bearer {KEY}"}
    with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=60) as answer:
        return json.load(answer)


@pictures
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_without_torch_and_ends_when_all_is_answered(exported: tuple[Path, Path], number: int) -> None:
    reads = Runtime(exported[1]).description.reads
    contents = files(reads, 6)
    server = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "serve", str(exported[1]), "--port", "0", "--threads", "1", "--together", "1"],
        env={**os.environ, KEY_VARIABLE: KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().partition("POST ")[2].partition(";")[0]
        assert ask(address, contents[0])["text"]
        found: list[str] = []
        asking = [threading.Thread(target=lambda one=one: found.append(ask(address, one)["text"])) for one in contents]
        for thread in asking:
            thread.start()
        while True:  # until all are inside
            with urllib.request.urlopen(address.rpartition("/")[0] + "/health", timeout=60) as answer:
                health = json.load(answer)
            if health["waiting"] + health["answered"] > len(contents):
                break
        server.send_signal(number)
        for thread in asking:
            thread.join(60)
        assert len(found) == len(contents)
        _, errors = server.communicate(timeout=60)
        assert (server.returncode, errors) == (0, "")
    finally:
        server.kill()
        server.communicate()


@pictures
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "70000"], "--port 70000"),
        (["--host", "203.0.113.7"], "expected a free address of this machine"),
        (["--threads", "0"], "--threads: 0"),
        (["--timeout", "-1"], "--timeout"),
        (["--key-file", "short"], "short: no key; expected one word"),
        (["--key-file", "missing"], "missing: No such file"),
    ],
)
def test_what_cannot_be_served_is_a_sentence(
    exported: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short").write_text("abc\n")
    assert main(["serve", str(exported[1]), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_that_is_no_exported_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(tmp_path)]) == 2
    assert "model.json" in capsys.readouterr().err
