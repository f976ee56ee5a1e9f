"""Transcripts of recordings of any length, from the command line."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Lt

from multimodal_attn.data.reading.audio import SUFFIXES
from multimodal_attn.data.reading.files import file_names, find_files
from multimodal_attn.parts import checked
from multimodal_attn.prediction.recordings.transcriber import Transcriber, decoder_of
from multimodal_attn.prediction.recordings.transcript import ENDINGS, FORMATS, ONE_RECORDING, render
from multimodal_attn.ranges import BeamWidth, Count, NotNegative
from multimodal_attn.runs.loading import load
from multimodal_attn.runs.printable import printable
from multimodal_attn.types import UnreadableError
from multimodal_attn.writing import write_file


def transcribe(
    run: Path,
    files: Sequence[Path],
    formats: Sequence[str],
    output: Path | None,
    *,
    width: int = 5,
    ensemble: Sequence[Path] = (),
    trust: Sequence[str] = (),
    word_times: str = "attention",
    max_seconds: float | None = None,
    overlap_seconds: float = 1.0,
    batch_size: int = 8,
) -> int:
    """Prints transcripts, or writes a file of each format for each recording.

    Args:
        run: folder or checkpoint file.
        files: recordings and folders.
        formats: some of ``FORMATS``.
        output: folder to write into; None to print.
        width: of the beam.
        ensemble: further runs that predict together with it.
        trust: packages whose classes a checkpoint may name.
        word_times: "attention" or "ctc".
        max_seconds: of the parts that are decoded by themselves; None for what the run was trained on.
        overlap_seconds: that two parts share.
        batch_size: parts that are decoded together.

    Returns:
        The exit status: 1 if nothing could be read, or no word is heard in any recording.
    """
    checked("--width", width, BeamWidth)
    checked("--batch-size", batch_size, Count)
    checked("--max-seconds", max_seconds, Annotated[float, Ge(1), Lt(math.inf)] | None)
    checked("--overlap", overlap_seconds, NotNegative)
    _check_output(formats, output)
    paths, others = find_files(files, SUFFIXES)
    for error in others:
        print(f"skipped {printable(str(error))}", file=sys.stderr)
    if output is None and (len(formats) > 1 or (formats[0] in ONE_RECORDING and len(paths) > 1)):
        several = f"{len(paths)} recordings" if len(formats) == 1 else "several formats"
        raise ValueError(f"--format {','.join(formats)}: {several} are a file each; expected --output FOLDER")
    names = file_names(paths)
    predictor = load(run, width, ensemble, trust=trust)
    transcriber = Transcriber(
        decoder_of(predictor, word_times),
        predictor.reader.sample_rate,
        max_seconds or max(predictor.max_seconds or 20.0, 3 * overlap_seconds),
        overlap_seconds,
        batch_size,
    )
    heard = 0
    for path, name in zip(paths, names, strict=True):
        try:
            transcript = transcriber(path)
        except UnreadableError as error:
            print(f"skipped {printable(str(error))}", file=sys.stderr)
            continue
        heard += bool(transcript.words)
        if not transcript.words:
            print(f"{printable(str(path))}: no word is heard in its {transcript.seconds:.1f} s", file=sys.stderr)
        for kind in formats:
            text = render(transcript, path, kind, name)
            if output is not None:
                file = output / f"{name}.{ENDINGS[kind]}"
                write_file(file, text)
                print(file if name == path.stem else f"{file}\t{path}")
            else:
                _print(text, path if kind == "txt" and len(paths) > 1 else None)
    return 0 if heard else 1


def _check_output(formats: Sequence[str], output: Path | None) -> None:
    if unknown := [kind for kind in formats if kind not in FORMATS]:
        raise ValueError(f"--format: {unknown[0]!r}; expected one or more of {','.join(FORMATS)}")
    if output is not None and output.exists() and not output.is_dir():
        raise ValueError(f"--output: '{output}' is a file; expected a folder")


def _print(text: str, path: Path | None) -> None:
    """Prints a transcript, below the name of its recording where the format has no place for it."""
    title = "" if path is None else f"# {printable(str(path))}\n"
    print(title + printable(text, kept="\t\n"), end="", flush=True)
