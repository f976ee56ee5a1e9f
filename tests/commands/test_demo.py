"""The page as a process: it starts, keeps a browser from anything else, and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from multimodal_attn.__main__ import main


@pytest.mark.parametrize("exported", ["pictures"], indirect=True)
def test_it_serves_a_page_and_ends(exported: tuple[Path, Path], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "multimodal_attn", "demo", *map(str, exported), "--port", "0"]
    server = subprocess.Popen(
        command, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().split()[1]
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=60) as answer:
            policy = answer.headers["content-security-policy"]
            page = answer.read().decode()
        assert policy.startswith("default-src 'self' 'unsafe-inline'")
        assert "http" not in policy
        assert "Try it" in page
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=60)
        assert (server.returncode, errors) == (0, "")
        assert not list(tmp_path.glob("multimodal_attn-demo-*"))
    finally:
        server.kill()
        server.communicate()


@pytest.mark.parametrize("exported", ["pictures"], indirect=True)
def test_an_example_that_no_run_reads_is_refused(
    exported: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.wav").touch()
    for name in ("a.wav", "none.png"):
        assert main(["demo", str(exported[1]), "--example", str(tmp_path / name)]) == 2
        expected = "expected an existing file of a kind that a run reads: avif, bmp"
        assert f"--example: '{tmp_path / name}'; {expected}" in capsys.readouterr().err


def test_what_cannot_be_shown_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert main(["demo", str(tmp_path), "--max-seconds", "0"]) == 2
    assert "--max-seconds: 0" in capsys.readouterr().err
