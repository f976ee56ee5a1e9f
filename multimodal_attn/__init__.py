"""Attention encoder-decoders for pictures, speech and text that show, and measure, what they attend to.

``load`` gives a predictor from a trained run, ``load_writer`` a language model that writes, ``load_cloze`` one that
fills gaps. Everything else is imported from the rooms of the package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multimodal_attn.runs.language_model import load_writer
    from multimodal_attn.runs.loading import load
    from multimodal_attn.runs.masked_language_model import load_cloze

__all__ = ["load", "load_cloze", "load_writer"]


def __getattr__(name: str) -> Any:
    """Imports what is asked for when it is: importing the package itself costs nothing."""
    if name == "load":
        from multimodal_attn.runs.loading import load

        return load
    if name == "load_writer":
        from multimodal_attn.runs.language_model import load_writer

        return load_writer
    if name == "load_cloze":
        from multimodal_attn.runs.masked_language_model import load_cloze

        return load_cloze
    raise AttributeError(f"module 'multimodal_attn' has no attribute {name!r}")
