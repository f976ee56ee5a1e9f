"""Packages that only some installations have: the extras of pyproject.toml."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def require_packages(key: str, extra: str, *names: str) -> None:
    """Says how to install what is missing, before it is imported.

    Args:
        key: of the yaml, or the command, that needs the packages.
        extra: of this package that brings them.
        names: as they are imported.

    Raises:
        ValueError: if one is missing.
    """
    if missing := [name for name in names if not _is_installed(name)]:
        raise ValueError(f'{key}: {", ".join(missing)} missing; install with pip install "multimodal_attn[{extra}]"')


def _is_installed(name: str) -> bool:
    return sys.modules[name] is not None if name in sys.modules else find_spec(name) is not None
