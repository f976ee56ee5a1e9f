"""Words lost at the seams of long recordings: pieces read alone, their whole by `transcribe`, and their whole live.

    python benchmarks/long_recordings.py RUN [--minutes 10] [--speeds 0.9 1 1.1] [--period 0.1] [--not-live]

RUN is the folder of a training on recordings. The pieces are the validation examples of its data set, one after another
until they last so long; of a speed, all of them are played slower or faster. Errors of the pieces are summed, those of
the whole are counted in one alignment.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from multimodal_attn.data.loading.build import dataset_part
from multimodal_attn.data.reading.audio import resample
from multimodal_attn.evaluation.texts.transcripts import TranscriptScores
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.prediction.recordings.live import Live, LiveSettings
from multimodal_attn.prediction.recordings.transcriber import Transcriber, decoder_of
from multimodal_attn.runs.loading import load_run
from multimodal_attn.search import BeamSearch
from multimodal_attn.types import Example

BATCH_SIZE = 8


def pieces_of(source: torch.utils.data.Dataset[Example], minutes: float, speed: float, rate: int) -> list[Example]:
    """Examples at another speed, until they last so many minutes; all of the source if it is shorter."""
    found: list[Example] = []
    left = 60 * minutes * rate
    for index in range(len(source)):  # type: ignore[arg-type]
        example = source[index]
        assert isinstance(example.source, Tensor)
        waveform = resample(example.source, round(speed * rate), rate)
        found.append(Example(example.key, waveform, example.targets))
        left -= len(waveform)
        if left <= 0:
            break
    return found


def alone(predictor: Predictor, pieces: list[Example]) -> list[str]:
    """What is written of each piece by itself."""
    batches = [pieces[first : first + BATCH_SIZE] for first in range(0, len(pieces), BATCH_SIZE)]
    return [found.text for batch in batches for found in predictor.predict(batch)]


def transcribed(predictor: Predictor, whole: np.ndarray, max_seconds: float | None) -> str:
    """What `transcribe` writes."""
    rate = predictor.reader.sample_rate
    longest = max_seconds or predictor.max_seconds or 20.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "whole.wav"
        soundfile.write(path, whole, rate, "FLOAT")
        found = Transcriber(decoder_of(predictor), rate, longest, min(1.0, longest / 3), BATCH_SIZE)(path)
    return " ".join(word.text for word in found.words)


def live(predictor: Predictor, whole: np.ndarray, settings: LiveSettings) -> str:
    """What a live session writes."""
    size = round(settings.period_seconds * predictor.reader.sample_rate)
    heard = Live(predictor, settings)([whole[first : first + size] for first in range(0, len(whole), size)])
    return " ".join(word.text for found in heard for word in found.words)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--speeds", type=float, nargs="+", default=[0.9, 1.0, 1.1])
    parser.add_argument("--period", type=float, default=LiveSettings.period_seconds, help="of live looks, in seconds")
    parser.add_argument("--max-seconds", type=float, help="of the parts of both (default: the run's)")
    parser.add_argument("--not-live", action="store_true", help="the pieces and transcribe alone")
    parser.add_argument("--width", type=int, default=5, help="of the beam")
    parser.add_argument("--root", type=Path, help="of the data, in place of the run's own data.root")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    run = load_run(options.run, overrides={} if options.root is None else {"data.root": str(options.root)})
    limits = {key: run.config["search"][key] for key in ("max_length", "max_length_ratio")}
    predictor = run.predictor.with_search(BeamSearch(options.width, **limits))
    rate, score = predictor.reader.sample_rate, TranscriptScores()
    settings = LiveSettings(period_seconds=options.period, max_seconds=options.max_seconds)
    source = dataset_part(run.config["data"])(split="val", num_examples=math.ceil(60 * options.minutes))
    print("| speed | minutes | words | pieces alone | transcribe | live |\n|" + " --- |" * 6)
    for speed in options.speeds:
        pieces = pieces_of(source, options.minutes, speed, rate)
        truth = [piece.targets[0].text for piece in pieces]
        whole = torch.cat([torch.as_tensor(piece.source) for piece in pieces]).numpy()
        number, reference = sum(len(text.split()) for text in truth), [[" ".join(truth)]]
        texts = [transcribed(predictor, whole, options.max_seconds)]
        texts += [] if options.not_live else [live(predictor, whole, settings)]
        rates = [score(alone(predictor, pieces), [[text] for text in truth]), *(score([t], reference) for t in texts)]
        cells = [f"{100 * each['wer']:.2f} %" for each in rates] + ["-"] * options.not_live
        print(f"| {speed:g} | {len(whole) / rate / 60:.1f} | {number} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
