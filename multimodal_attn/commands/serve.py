"""An exported model over HTTP, from the command line. Nothing here needs torch."""

from __future__ import annotations

import os
from pathlib import Path

from multimodal_attn.optional_packages import require_packages

KEY_VARIABLE = "MULTIMODAL_ATTN_KEY"
"""Holds the key where no file is named."""
_SHORTEST_KEY = 16


def serve(
    folder: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    key_file: Path | None = None,
    threads: int | None = None,
    max_megabytes: float = 20.0,
    max_megapixels: float = 50.0,
    max_seconds: float | None = None,
    timeout_seconds: float = 30.0,
    waiting: int = 128,
    together: int = 16,
) -> int:
    """Serves until SIGTERM or Ctrl-C; what waits then is still answered.

    Args:
        folder: that ``multimodal-attn export`` has written.
        host: address to listen at.
        port: likewise; 0 for any that is free.
        key_file: holds the key that requests must have; None for the variable ``KEY_VARIABLE``, or no key.
        threads: that compute; None for all cores.
        max_megabytes, max_megapixels, timeout_seconds, waiting, together: see ``Limits``.
        max_seconds: likewise; None for 60, or those of the recordings that the model was trained on if they are longer.

    Returns:
        The exit status.

    Raises:
        ValueError: if the folder is no exported model, or the key is none.
    """
    require_packages("serve", "serve", "onnxruntime", "fastapi", "python_multipart", "uvicorn")
    from multimodal_attn.parts import checked
    from multimodal_attn.ranges import Count, Positive
    from multimodal_attn.runtime import Runtime
    from multimodal_attn.serving.app import TASKS, build_app
    from multimodal_attn.serving.limits import Limits
    from multimodal_attn.serving.server import address_of, listening, run, warn_of_strangers

    checked("--threads", threads, Count | None)
    checked("--max-seconds", max_seconds, Positive | None)
    key = _key(key_file)
    runtime = Runtime(folder, threads)
    limits = Limits(
        max_megabytes=checked("--max-megabytes", max_megabytes, Positive),
        max_megapixels=checked("--max-megapixels", max_megapixels, Positive),
        max_seconds=max_seconds or max(Limits.max_seconds, runtime.description.max_seconds or 0),
        timeout_seconds=checked("--timeout", timeout_seconds, Positive),
        waiting=checked("--waiting", waiting, Count),
        together=checked("--together", together, Count),
    )
    with listening(host, port) as listener:
        address, task = address_of(host, listener), TASKS[runtime.description.reads]
        print(f"{runtime.description.name} {task.does}: POST {address}{task.path}; {address} says how", flush=True)
        if key is None:
            warn_of_strangers(host, address, "--key-file FILE asks for one")
        run(build_app(runtime, limits, key), listener, round(timeout_seconds) + 1)
    return 0


def _key(file: Path | None) -> str | None:
    place = str(file or KEY_VARIABLE)
    key = os.environ.get(KEY_VARIABLE) if file is None else file.read_text(encoding="utf-8").strip()
    if key is None:
        return None
    if len(key) < _SHORTEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"{place}: no key; expected one word of at least {_SHORTEST_KEY} ASCII characters")
    return key
