"""Trained runs as files for other programs, from the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from multimodal_attn.export.folder import write_folder
from multimodal_attn.optional_packages import require_packages
from multimodal_attn.parts import checked
from multimodal_attn.prediction.checkpoint import load_predictor, read_run, save_weights
from multimodal_attn.prediction.confidence import read_temperature
from multimodal_attn.ranges import BeamWidth
from multimodal_attn.runs.loading import run_search
from multimodal_attn.runtime.description import Precision

WEIGHTS = "model.safetensors"


def export(
    run: Path,
    output: Path,
    *,
    precision: Precision = "fp32",
    weights: bool = False,
    checkpoint: str = "best",
    width: int = 5,
    license_name: str = "",
    trust: Sequence[str] = (),
) -> int:
    """Writes a run's model as ONNX graphs, or its weights alone, and prints the files with their sizes.

    Args:
        run: folder or checkpoint file.
        output: folder to write.
        precision: of the graphs' weights.
        weights: write the checkpoint for inference in place of graphs.
        checkpoint: "best" or "last" of the folder.
        width: of the beam that the exported model writes with, unless told otherwise.
        license_name: under which the weights may be used.
        trust: packages whose classes a checkpoint may name.

    Returns:
        The exit status.

    Raises:
        ValueError: if there is no readable checkpoint, or a part of it cannot be exported.
    """
    checked("--width", width, BeamWidth)
    if output.exists() and not output.is_dir():
        raise ValueError(f"OUT: '{output}' is a file; expected a folder")
    content = read_run(run, checkpoint)
    if weights:
        load_predictor(content, trust)  # what cannot be loaded is not worth a file
        save_weights(content, output / WEIGHTS)
    else:
        require_packages("export", "export", "onnx", "onnxscript", "onnxruntime")
        predictor = load_predictor(content, trust)
        predictor.temperature = read_temperature(content.folder)
        if predictor.model.ctc_head is not None:
            print("not exported: the CTC head; word times and scores by CTC need the run itself", file=sys.stderr)
        write_folder(output, predictor, content, run_search(content, width), precision, license_name)
    for file in sorted(output.iterdir()):
        print(f"{file}\t{file.stat().st_size / 2**20:.1f} MB")
    return 0
