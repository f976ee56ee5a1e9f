"""Reads a json file, with an error that a person can act on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_json(path: Path, option: str, expected: str) -> Any:
    """The content of a json file.

    Args:
        path: of the file.
        option: key of the configuration that led there.
        expected: what the file should have been.

    Raises:
        ValueError: if it is missing or not json.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{option}: '{path}' cannot be read ({error.strerror}); expected {expected}") from error
    except ValueError as error:
        raise ValueError(f"{option}: '{path}' is not json ({error}); expected {expected}") from error
