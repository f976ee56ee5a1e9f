"""Times a run and what was exported of it, from a file to its text with a beam of 5, encoder included.

    python -m multimodal_attn export RUN fp32
    python -m multimodal_attn export RUN int8 --int8
    python benchmarks/export.py RUN fp32 int8 --file photo.jpg --threads 1 2
    python benchmarks/export.py RUN fp32 int8 --scores 300

Each variant is a process of its own, with its own threads. They are asked in turn, so that other load falls on all
alike; start-up is that of new processes, from the call to the first text. ``--scores`` decodes validation examples in
place of that: texts that differ from torch's, and the run's own scores of each variant.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

BEAM = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("exported", type=Path, nargs="+", help="exported folders")
    parser.add_argument("--file", type=Path, help="a photo or a recording")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--rounds", type=int, default=15, help="times that each variant is asked, in turn")
    parser.add_argument("--starts", type=int, default=3, help="times that each variant is started anew")
    parser.add_argument("--scores", type=int, metavar="EXAMPLES", help="decode so many of the validation set")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(variant(options.worker, options.run, options.threads[0]), options.file)
    elif options.scores:
        score(options.run, options.exported, options.scores)
    elif options.file:
        for threads in options.threads:
            measure(options, threads)
    else:
        parser.error("expected --file or --scores")


def variant(name: str, path: Path, threads: int) -> Callable[[Any], Any]:
    """What reads a file: "torch fp32", "torch bf16", or an exported folder without torch."""
    if name == "exported":
        from multimodal_attn.runtime import Runtime

        return Runtime(path, threads)
    import torch

    from multimodal_attn import load
    from multimodal_attn.machine import set_up_machine

    torch.set_num_threads(threads)
    set_up_machine()
    predictor = load(path, BEAM, device="cpu")

    def predict(source: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=name.endswith("bf16")):
            return predictor(source)

    return predict


def work(predict: Callable[[Any], Any], file: Path) -> None:
    """Answers each line of standard input with the milliseconds of one text and the resident megabytes."""
    predict(file)
    while True:
        with open("/proc/self/status") as status:
            resident = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))
        start = time.perf_counter()
        predict(file)
        print(1000 * (time.perf_counter() - start), resident, flush=True)
        if not sys.stdin.readline():
            return


def measure(options: argparse.Namespace, threads: int) -> None:
    """Prints a row for each variant, with so many threads."""
    kinds = [("torch fp32", options.run), ("torch bf16", options.run)]
    kinds += [("exported", folder) for folder in options.exported]
    starts: list[list[float]] = [[] for _ in kinds]
    workers: list[subprocess.Popen[str]] = []
    for _ in range(options.starts):
        for worker in workers:
            close(worker)
        workers = []
        for number, (name, path) in enumerate(kinds):
            begin = time.perf_counter()
            workers.append(start_worker(name, path, options.file, threads))
            asked = float(answer(workers[-1])[0])  # the second text: the first came that much earlier
            starts[number].append(time.perf_counter() - begin - asked / 1000)
    times: list[list[float]] = [[] for _ in kinds]
    resident = [0.0] * len(kinds)
    for _ in range(options.rounds):
        for number, worker in enumerate(workers):
            assert worker.stdin is not None
            worker.stdin.write("again\n")
            worker.stdin.flush()
            milliseconds, resident[number] = answer(worker)
            times[number].append(milliseconds)
    for worker in workers:
        close(worker)
    seconds = duration(options.file)
    print(f"\n{threads} thread(s), {options.file.name}" + (f", {seconds:.2f} s of speech" if seconds else ""))
    print(
        f"{'variant':<28}{'ms a text':>10}{'(lowest-highest)':>20}{'start s':>9}{'MB':>7}"
        + ("  x real time" * bool(seconds))
    )
    for number, (name, path) in enumerate(kinds):
        shown = f"exported {path.name}" if name == "exported" else name
        spread = f"({min(times[number]):.1f}-{max(times[number]):.1f})"
        row = f"{shown:<28}{median(times[number]):>10.1f}{spread:>20}{median(starts[number]):>9.2f}"
        row += f"{resident[number]:>7.0f}"
        print(row + (f"{median(times[number]) / 1000 / seconds:>13.4f}" if seconds else ""))


def start_worker(name: str, path: Path, file: Path, threads: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, str(path), str(path), "--file", str(file), "--worker", name]
    command += ["--threads", str(threads)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def answer(worker: subprocess.Popen[str]) -> tuple[float, float]:
    assert worker.stdout is not None
    milliseconds, resident = worker.stdout.readline().split()
    return float(milliseconds), float(resident)


def close(worker: subprocess.Popen[str]) -> None:
    worker.communicate()


def duration(file: Path) -> float:
    """Seconds of a recording; 0 for a photo."""
    import soundfile

    try:
        return float(soundfile.info(file).duration)
    except soundfile.SoundFileError:
        return 0.0


def score(run: Path, folders: list[Path], number: int) -> None:
    """Prints how many texts of each exported folder differ from torch's, and the scores of all of them."""
    from multimodal_attn import load
    from multimodal_attn.evaluation.texts.base import TextScores
    from multimodal_attn.parts import part
    from multimodal_attn.runs.loading import load_run
    from multimodal_attn.runtime import Runtime

    loaded = load_run(run)
    scores = part("metrics", loaded.config["metrics"], TextScores)()
    examples = list(loaded.data.source("val").spread(number))
    references = [[target.text for target in example.targets] for example in examples]
    predictor = load(run, BEAM, device="cpu")
    expected = [predictor.predict([example])[0] for example in examples]
    print(f"torch, {len(examples)} examples: {scores([one.text for one in expected], references)}")
    for folder in folders:
        runtime = Runtime(folder)
        sources = [example.source.numpy() for example in examples]
        found = [runtime(one.transpose(1, 2, 0) if one.ndim == 3 else one, width=BEAM) for one in sources]
        pairs = list(zip(found, expected, strict=True))
        same = [(one, other) for one, other in pairs if one.text == other.text]
        alike = sum([each.text for each in one.others] == [each.text for each in other.others] for one, other in same)
        weights = max(float(abs(one.weights - other.weights).max(initial=0)) for one, other in same)
        score = max(abs(one.score - other.score) for one, other in same)
        print(f"{folder.name}: {len(pairs) - len(same)} texts differ, {alike} beams are alike in all texts")
        print(f"    largest difference of a weight {weights:.1e}, of a score {score:.1e}")
        print(f"    {scores([one.text for one in found], references)}")


if __name__ == "__main__":
    main()
