"""Reads a json file, with an error that a person can act on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from multimodal_attn.data.reading.text import read_text
from multimodal_attn.types import UnreadableError


def read_json(path: Path, option: str, expected: str) -> Any:
    """The content of a json file.

    Args:
        path: of the file.
        option: key of the configuration that led there.
        expected: what the file should have been.

    Raises:
        ValueError: if it is missing, not UTF-8 or not json.
    """
    try:
        return json.loads(read_text(path))
    except UnreadableError as error:
        raise ValueError(f"{option}: '{error.path}' {error.reason}; expected {expected}") from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else error
        raise ValueError(f"{option}: '{path}' is not json ({reason}); expected {expected}") from None
