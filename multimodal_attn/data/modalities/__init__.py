"""Pictures, recordings and texts. One modality per file; this is the only place in this room that lists them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multimodal_attn.data.modalities.base import Reader
from multimodal_attn.data.modalities.picture import PictureReader
from multimodal_attn.data.modalities.recording import RecordingReader
from multimodal_attn.data.modalities.text import TextReader
from multimodal_attn.parts import parameters
from multimodal_attn.types import Modality

READERS: dict[Modality, type[Reader]] = {
    reader.modality: reader for reader in (PictureReader, RecordingReader, TextReader)
}


def reader_of(modality: Modality, settings: Mapping[str, Any]) -> Reader:
    """A modality's reader with those of a data configuration's settings that it takes.

    Args:
        modality: what is to be read.
        settings: such as ``image_size`` and ``sample_rate``; the rest is of no concern here.
    """
    reader = READERS[modality]
    return reader(**{name: settings[name] for name in parameters(reader) if name in settings})
