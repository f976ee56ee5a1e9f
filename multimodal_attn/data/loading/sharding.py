"""Writes a data set into tar shards that ``datasets/shards.py`` reads."""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from PIL import Image

from multimodal_attn.data.datasets.shards import PLACES, sha256
from multimodal_attn.data.reading.images import photo_frame
from multimodal_attn.types import Example, Target, UnreadableError


class _Sample(NamedTuple):
    suffix: str  # of the encoded picture or recording; "" if there is none
    content: bytes
    record: dict[str, Any]
    length: float


def check_writer() -> None:
    """Raises a ValueError where the package that writes the tars is missing."""
    try:
        import webdataset  # noqa: F401
    except ImportError:
        raise ValueError(
            "shards are written by webdataset, which is not installed: pip install 'multimodal_attn[shards]'"
        ) from None


def write_split(
    source: Any, split: str, folder: Path, modality: str, shard_bytes: int
) -> tuple[dict[str, Any], list[UnreadableError]]:
    """Writes the tars and the two lists of a split; holds one example in memory, whatever the number.

    Files are copied byte by byte where the data set has ``path(index)``, as well as ``key`` and ``targets``. Anything
    else is encoded without loss: pictures as png, waveforms as wav of 32-bit floats.

    Args:
        source: the data set.
        split: names the files.
        folder: to write into.
        modality: "image", "audio" or "text", as ``modality_of`` tells.
        shard_bytes: a tar that has as many gets no further example.

    Returns:
        What the index says of the split, and what could not be read.

    Raises:
        ValueError: if no example can be read.
    """
    skipped: list[UnreadableError] = []
    samples = _samples(source, modality, skipped)
    shards: list[dict[str, Any]] = []
    records, places = folder / f"{split}.jsonl", folder / f"{split}.places"
    sample = next(samples, None)
    if sample is None:
        reasons = "".join(f"\n  {error}" for error in skipped[:5])
        raise ValueError(f"data: the {split} split holds no readable example{reasons}")
    with records.open("wb") as record_file, places.open("wb") as place_file:
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
            with tarfile.open(path, "r:") as tar:  # asked of the tar itself, whatever its headers take
                offsets = {info.name: info.offset_data for info in tar}
            table = [(len(shards), crc, offsets[name], size, line, length) for crc, name, size, line, length in rows]
            place_file.write(np.array(table, PLACES).tobytes())
            seconds = {"seconds": round(sum(row[-1] for row in rows), 3)} if modality == "audio" else {}
            shards.append({**_described(path), "examples": len(rows), **seconds})
    totals = {name: sum(shard[name] for shard in shards) for name in shards[0] if name in ("examples", "seconds")}
    return {**totals, "lists": [_described(records), _described(places)], "shards": shards}, skipped


def modality_of(source: Any) -> str:
    """What the first readable example is: "image", "audio", or "text" where there is nothing but texts.

    Raises:
        ValueError: if none can be read.
    """
    for index in range(len(source)):
        try:
            example: Example = source[index]
        except UnreadableError:
            continue
        if isinstance(example.source, str):
            raise ValueError("data: texts to be read are small enough as they are; shards hold pictures and recordings")
        return "image" if example.source.ndim == 3 else "audio" if example.source.numel() else "text"
    raise ValueError("data: no example can be read")


def _tar_writer(file: io.BufferedWriter) -> Any:
    import webdataset

    # The same examples make the same bytes: neither time nor user goes into the tar.
    return webdataset.TarWriter(file, encoder=False, mtime=0.0, user="", group="")


def _samples(source: Any, modality: str, skipped: list[UnreadableError]) -> Iterator[_Sample]:
    """Everything readable in the order of the data set; the rest goes to ``skipped``."""
    copies = all(hasattr(source, name) for name in ("path", "key", "targets"))
    lengths = source.lengths()
    for index in range(len(source)):
        try:
            if copies:
                path = Path(source.path(index))
                key, targets, suffix = source.key(index), source.targets(index), path.suffix[1:].lower() or "bin"
                content = path.read_bytes()
            else:
                example = source[index]
                key, targets = example.key, example.targets
                suffix, content = _encoded(example, modality, source)
        except UnreadableError as error:
            skipped.append(error)
        except OSError as error:
            skipped.append(UnreadableError(str(error.filename), f"cannot be read ({error.strerror})"))
        else:
            record = {"key": key, "targets": [_plain(target) for target in targets]}
            if any(target.boxes for target in targets):
                record |= _square(content)
            yield _Sample(suffix, content, record, lengths[index])


def _encoded(example: Example, modality: str, source: Any) -> tuple[str, bytes]:
    if modality == "text":
        return "", b""
    assert not isinstance(example.source, str), "refused by modality_of"
    buffer = io.BytesIO()
    if modality == "image":
        Image.fromarray(example.source.permute(1, 2, 0).numpy()).save(buffer, "PNG")
        return "png", buffer.getvalue()
    soundfile.write(buffer, example.source.numpy(), source.sample_rate, format="WAV", subtype="FLOAT")
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
    return {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}
