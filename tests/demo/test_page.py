"""What there is to try on the page; ``tests/inspection/browser`` uses it as people do."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from multimodal_attn.data.modalities.base import Reader
from multimodal_attn.data.modalities.recording import RecordingReader
from multimodal_attn.data.modalities.text import TextReader
from multimodal_attn.serving.limits import Limits
from multimodal_attn.types import UnreadableError

# Imported by the tests themselves: it takes seconds, in every process that only looks for its tests.
pytestmark = pytest.mark.skipif(find_spec("gradio") is None, reason="the page needs gradio")


def page_of(reader: Reader, examples: list[Path]) -> Any:
    """The page of a model that is not asked."""
    from multimodal_attn.demo.page import build_page

    model: Any = SimpleNamespace(
        reader=reader, suffixes=reader.suffixes, name="a", search=SimpleNamespace(max_length=9)
    )
    return build_page([model], Limits(), examples)


def tried(page: Any) -> list[list[str]]:
    import gradio

    return [one for block in page.blocks.values() if isinstance(block, gradio.Dataset) for one in block.raw_samples]


def test_lines_of_a_text_file_are_examples(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ein  Hund\n\nzwei Hunde\n", encoding="utf-8")
    (tmp_path / "B.TXT").write_text("drei", encoding="utf-8")
    (tmp_path / "a.wav").touch()
    page = page_of(TextReader(), [tmp_path / "a.txt", tmp_path / "a.wav", tmp_path / "B.TXT"])
    assert tried(page) == [["ein Hund"], ["zwei Hunde"], ["drei"]]
    assert tried(page_of(TextReader(), [tmp_path / "a.wav"])) == []
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(UnreadableError, match=r"a\.txt"):
        page_of(TextReader(), [tmp_path / "a.txt"])


def test_what_is_deleted_after_a_while_are_no_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gradio.route_utils import delete_files_created_by_app

    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "given"))
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    page = page_of(RecordingReader(), [tmp_path / "a.wav"])
    delete_files_created_by_app(page, -1)
    assert [path.name for path in (tmp_path / "given").rglob("*.*")] == ["a.wav"]
