"""Writes a data set into tar shards that ``datasets/shards.py`` reads."""

from __future__ import annotations

import io
import json
import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from PIL import Image

from multimodal_attn.data.datasets.base import Dataset
from multimodal_attn.data.datasets.shards import PLACES
from multimodal_attn.data.reading.files import checksum
from multimodal_attn.data.reading.images import photo_frame
from multimodal_attn.types import Target, UnreadableError
from multimodal_attn.writing import naming


class _Sample(NamedTuple):
    suffix: str  # of the encoded picture or recording; "" if there is none
    content: bytes
    record: dict[str, Any]
    length: float


def check_source(source: Dataset) -> None:
    """Raises a ValueError if nothing can be read, or texts are; those that a language model writes are welcome."""
    source.check_readable()
    if any(source.source_texts()):
        raise ValueError("data: texts to be read are small enough as they are; shards hold pictures and recordings")


def write_split(
    source: Dataset, split: str, folder: Path, shard_bytes: int
) -> tuple[dict[str, Any], list[UnreadableError]]:
    """Writes the tars and the two lists of a split; holds one example in memory, whatever the number.

    Files are copied byte by byte where the data set has paths. Anything else is encoded without loss: pictures as png,
    waveforms as wav of 32-bit floats.

    Args:
        source: the data set.
        split: names the files.
        folder: to write into.
        shard_bytes: a tar that has as many gets no further example.

    Returns:
        What the index says of the split, and what could not be read.

    Raises:
        ValueError: if no example can be read.
    """
    skipped: list[UnreadableError] = []
    samples = _samples(source, skipped)
    shards: list[dict[str, Any]] = []
    records, places = folder / f"{split}.jsonl", folder / f"{split}.places"
    sample = next(samples, None)
    if sample is None:
        reasons = "".join(f"\n  {error}" for error in skipped[:5])
        raise ValueError(f"data: the {split} split holds no readable example{reasons}")
    with naming(folder), records.open("wb") as record_file, places.open("wb") as place_file:
        number = 0
        while sample is not None:
            path = folder / f"{split}-{len(shards):05d}.tar"
            rows: list[tuple[int, str, int, int, float]] = []  # crc32, member, size, place of the record, length
            with path.open("wb") as file:
                writer = _tar_writer(file)
                while sample is not None and (not rows or file.tell() < shard_bytes):
                    name = f"{number:09d}"
                    line = json.dumps(sample.record, ensure_ascii=False).encode()
                    members = {"json": line} | ({sample.suffix: sample.content} if sample.suffix else {})
                    writer.write({"__key__": name, **members})
                    member = f"{name}.{sample.suffix or 'json'}"
                    crc = zlib.crc32(sample.content)
                    rows.append((crc, member, len(sample.content), record_file.tell(), sample.length))
                    record_file.write(line + b"\n")
                    number += 1
                    sample = next(samples, None)
                writer.close()
                _reach_disk(file)
            with tarfile.open(path, "r:") as tar:  # asked of the tar itself, whatever its headers take
                offsets = {info.name: info.offset_data for info in tar}
            table = [(len(shards), crc, offsets[name], size, line, length) for crc, name, size, line, length in rows]
            place_file.write(np.array(table, PLACES).tobytes())
            seconds = {"seconds": round(sum(row[-1] for row in rows), 3)} if source.reader.unit == "seconds" else {}
            shards.append({**_described(path), "examples": len(rows), **seconds})
        for listed in (record_file, place_file):
            _reach_disk(listed)
    totals = {name: sum(shard[name] for shard in shards) for name in shards[0] if name in ("examples", "seconds")}
    return {**totals, "lists": [_described(records), _described(places)], "shards": shards}, skipped


def _reach_disk(file: io.BufferedWriter) -> None:
    """The index, which comes last, says that all of it is there."""
    file.flush()
    os.fsync(file.fileno())


def _tar_writer(file: io.BufferedWriter) -> Any:
    import webdataset

    # The same examples make the same bytes: neither time nor user goes into the tar.
    return webdataset.TarWriter(file, encoder=False, mtime=0.0, user="", group="")


def _samples(source: Dataset, skipped: list[UnreadableError]) -> Iterator[_Sample]:
    """Everything readable in the order of the data set; the rest goes to ``skipped``."""
    for index, entry in enumerate(source.entries):
        try:
            suffix, content = _content(source, index)
        except UnreadableError as error:
            skipped.append(error)
        except OSError as error:
            skipped.append(UnreadableError(str(error.filename), f"cannot be read ({error.strerror})"))
        else:
            record: dict[str, Any] = {"key": entry.key, "targets": [_plain(target) for target in entry.targets]}
            if any(target.boxes for target in entry.targets):
                record |= _square(content)
            yield _Sample(suffix, content, record, entry.length)


def _content(source: Dataset, index: int) -> tuple[str, bytes]:
    """Suffix and content of an example's file, or of what is encoded in place of one."""
    if (path := source.path(index)) is not None:
        return Path(path).suffix[1:].lower() or "bin", Path(path).read_bytes()
    found, buffer = source.read(index), io.BytesIO()
    if isinstance(found, str):
        return "", b""
    if source.reader.modality == "picture":
        Image.fromarray(found.permute(1, 2, 0).numpy()).save(buffer, "PNG")
        return "png", buffer.getvalue()
    soundfile.write(buffer, found.numpy(), source.reader.sample_rate, format="WAV", subtype="FLOAT")
    return "wav", buffer.getvalue()


def _square(content: bytes) -> dict[str, list[float]]:
    """The photo's central square, for the boxes of a cropped one."""
    try:
        return {"square": list(photo_frame(io.BytesIO(content), "crop"))}
    except UnreadableError:  # reading the example will say so
        return {}


def _plain(target: Target) -> dict[str, Any]:
    """A target as JSON; every float comes back as it was."""
    return {
        "text": target.text,
        **({"boxes": {str(word): boxes for word, boxes in target.boxes.items()}} if target.boxes else {}),
        **({"times": target.times} if target.times else {}),
    }


def _described(path: Path) -> dict[str, Any]:
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": checksum(path)}
