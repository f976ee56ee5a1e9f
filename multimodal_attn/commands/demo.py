"""A page to try models on, from the command line."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from multimodal_attn.optional_packages import require_packages
from multimodal_attn.parts import checked
from multimodal_attn.ranges import Positive
from multimodal_attn.runs.loading import load
from multimodal_attn.serving.limits import Limits
from multimodal_attn.serving.server import address_of, listening, run, warn_of_strangers

_PATIENCE_SECONDS = 2  # an open page holds a connection that never ends by itself


def demo(
    runs: Sequence[Path],
    host: str = "127.0.0.1",
    port: int = 7860,
    *,
    max_megabytes: float = 20.0,
    max_megapixels: float = 50.0,
    max_seconds: float = 60.0,
    examples: Sequence[Path] = (),
    trust: Sequence[str] = (),
) -> int:
    """Serves the page until SIGTERM or Ctrl-C. What was given to it is deleted then.

    Args:
        runs: folders of runs, checkpoint files, or exported folders.
        host: address to listen at.
        port: likewise; 0 for any that is free.
        max_megabytes, max_megapixels, max_seconds: see ``Limits``.
        examples: files to try them on, of which each is a click.
        trust: packages whose classes a checkpoint may name.

    Returns:
        The exit status.

    Raises:
        ValueError: if a run cannot be loaded, or no model reads an example.
    """
    require_packages("demo", "demo", "gradio")
    limits = Limits(
        max_megabytes=checked("--max-megabytes", max_megabytes, Positive),
        max_megapixels=checked("--max-megapixels", max_megapixels, Positive),
        max_seconds=checked("--max-seconds", max_seconds, Positive),
    )
    predictors = [load(run, trust=trust) for run in runs]
    suffixes = sorted({suffix for predictor in predictors for suffix in predictor.suffixes})
    for example in examples:
        if not example.is_file() or example.suffix.lower().lstrip(".") not in suffixes:
            expected = f"an existing file of a kind that a run reads: {', '.join(suffixes)}"
            raise ValueError(f"--example: '{example}'; expected {expected}")
    names = [predictor.name for predictor in predictors]
    for predictor, path in zip(predictors, runs, strict=True):
        if names.count(predictor.name) > 1:
            predictor.name = f"{predictor.name}, {path}"
        if predictor.reader.modality == "recording":  # of one whose header does not say how long it is
            predictor.reader.longest_seconds = limits.max_seconds
    with tempfile.TemporaryDirectory(prefix="multimodal_attn-demo-") as given, listening(host, port) as listener:
        # Before it is imported: what it counts of its use would go over a network.
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": given}
        from multimodal_attn.demo.page import as_application, build_page

        app = as_application(build_page(predictors, limits, examples), limits)
        address = address_of(host, listener)
        print(f"open {address} in a browser; Ctrl-C ends", flush=True)
        warn_of_strangers(host, address, "leave --host out to keep it to this machine")
        run(app, listener, _PATIENCE_SECONDS)
    return 0
