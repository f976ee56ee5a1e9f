"""Figures as files."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


def as_png(figure: Figure) -> memoryview:
    """The content of a PNG file."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getbuffer()
