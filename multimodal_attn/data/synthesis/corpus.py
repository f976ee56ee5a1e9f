"""Builds the corpus of synthetic speech once, into a folder that is whole or not there.

Layout of the folder: ``train.jsonl``, ``val.jsonl``, ``test.jsonl`` (a line for each utterance: file, text, starts and
ends of its words in seconds, voice, ...), ``train/00000.flac`` ... at 16 kHz, and ``SHA256SUMS`` of all of these, which
``sha256sum --check`` reads too. What is damaged or missing when the folder is opened makes it be built anew.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio.transforms
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from multimodal_attn.acoustics import colored_noise, fast_length, impulse_responses
from multimodal_attn.data.reading.files import checksum
from multimodal_attn.data.synthesis import espeak
from multimodal_attn.data.synthesis.sentences import sentences
from multimodal_attn.writing import naming

VERSION = 2  # to be raised with any change of sentences, voices or acoustics: it makes another folder
SAMPLE_RATE = 16000
SPLITS = ("train", "val", "test")
CHECKSUMS = "SHA256SUMS"

# Accent and timbre. No voice is in two splits, and no timbre (after the plus sign) of val or test is heard in train.
# Variants with echo are left out, theirs reaches into the next utterance, and those that never sound the same twice.
VOICES: dict[str, tuple[str, ...]] = {
    "train": (
        *("en-us+m1", "en-us+zac", "en-us+Michael", "en-us+linda", "en-us+max", "en-us+adam"),
        *("en+m3", "en+f1", "en+boris", "en+aunty", "en+quincy", "en+edward"),
        *("en-gb-scotland+m5", "en-gb-scotland+Andrea", "en-gb-scotland+Mike", "en-gb-scotland+shelby"),
        *("en-gb-x-rp+iven4", "en-gb-x-rp+robert", "en-gb-x-rp+Denis", "en-gb-x-rp+rob"),
        *("en-gb-x-gbclan+m8", "en-gb-x-gbclan+Nguyen"),
        *("en-us-nyc+m4", "en-us-nyc+benjamin"),
    ),
    "val": ("en-us+m6", "en+grandma", "en-gb-scotland+marcelo", "en-gb-x-rp+Annie"),
    "test": ("en-us+anika", "en-gb-x-rp+m7", "en-gb-x-gbclan+michel", "en-us-nyc+steph2"),
}


@dataclass(frozen=True)
class Recipe:
    """How many utterances a split has, and the seed of all that is drawn."""

    train: int = 3000
    val: int = 250
    test: int = 250
    seed: int = 0

    @property
    def name(self) -> str:
        """Of the folder: another recipe is another corpus."""
        return f"spoken-v{VERSION}-{self.train}-{self.val}-{self.test}-seed{self.seed}"

    def texts(self) -> dict[str, list[str]]:
        """The sentences of each split; no sentence is there twice."""
        pool = sentences(self.train + self.val + self.test, self.seed)
        held_out = self.val + self.test
        return {"val": pool[: self.val], "test": pool[self.val : held_out], "train": pool[held_out:]}


def prepare(cache_dir: str | Path, recipe: Recipe, split: str) -> Path:
    """The folder of a corpus of which at least ``split`` is verified; builds it where that fails.

    Several processes may ask at once: one builds, the others wait. An interrupted build leaves no corpus behind.

    Raises:
        ValueError: if it has to be built and cannot be: the synthesizer is not installed or ``cache_dir`` not writable.
    """
    parent = Path(cache_dir).expanduser()
    folder = parent / recipe.name
    problem = find_damage(folder, split)
    if problem is None:
        _clear_away(folder)
        return folder
    if find_spec("espeakng_loader") is None:
        raise ValueError(
            f"data.cache_dir: {problem}, and espeak-ng (GPL), which speaks the corpus, is not installed: "
            'pip install "espeakng-loader"'
        )
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with FileLock(parent / f"{recipe.name}.lock"):
            problem = find_damage(folder, split)
            if problem is not None:
                _replace(folder, recipe, problem)
    except (OSError, RuntimeError) as error:  # the latter from the synthesizer, which needs room as well
        raise ValueError(f"data.cache_dir: the corpus cannot be built in '{parent}' ({error})") from error
    return folder


def _replace(folder: Path, recipe: Recipe, problem: str) -> None:
    """Builds beside the folder, then swaps; to be called under the lock."""
    for leftover in _leftovers(folder):
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.building-", dir=folder.parent) as scratch:
        fresh = Path(scratch) / "fresh"
        fresh.mkdir()
        Console(stderr=True).print(f"{problem}: building it", highlight=False, soft_wrap=True)
        build(recipe, fresh)
        if folder.exists():
            folder.rename(Path(scratch) / "damaged")
        fresh.rename(folder)


def _leftovers(folder: Path) -> list[Path]:
    """What builds that were killed have left; of one that is at work, it is no leftover: ask under the lock."""
    return list(folder.parent.glob(f"{folder.name}.building-*"))


def _clear_away(folder: Path) -> None:
    """Removes leftovers where nobody is building and they may be removed."""
    if _leftovers(folder):
        with suppress(OSError, Timeout), FileLock(folder.with_name(f"{folder.name}.lock"), timeout=0):
            for leftover in _leftovers(folder):
                shutil.rmtree(leftover, ignore_errors=True)


def find_damage(folder: Path, split: str) -> str | None:
    """What keeps a split from being used: a missing folder or file, or one that differs from its checksum."""
    if not folder.is_dir():
        return f"'{folder}' does not exist"
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="utf-8").splitlines()
        checksums = {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}
        listing = f"{split}.jsonl"
        for name in [listing, *(entry["file"] for entry in read_listing(folder, split))]:
            if checksum(folder / name) != checksums.get(name):
                return f"'{folder / name}' differs from its checksum"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"'{folder}' is damaged ({type(error).__name__}: {error})"
    return None


def read_listing(folder: Path, split: str) -> list[dict]:
    """The utterances of a split: dicts with file, text, starts, ends, seconds, voice and how they were made."""
    return [json.loads(line) for line in (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]


def build(recipe: Recipe, folder: Path) -> None:
    """Speaks, renders and writes all splits into an existing empty folder."""
    texts = recipe.texts()
    groups = []  # the utterances of one voice, in a fixed order, because a process repeats itself only as a whole
    for split in SPLITS:
        (folder / split).mkdir()
        voices = VOICES[split]
        groups += [
            (split, voice, list(range(first, len(texts[split]), len(voices)))) for first, voice in enumerate(voices)
        ]
    entries: dict[str, list[dict]] = {split: [] for split in SPLITS}
    # Threads: the speaking is in other processes, and numpy, torch and libsndfile leave Python free.
    torch_threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(_num_cores(), initializer=torch.set_num_threads, initargs=(1,))
    try:
        with Progress(console=Console(stderr=True)) as progress:
            bar = progress.add_task("speaking the corpus", total=sum(map(len, texts.values())))
            futures = {
                pool.submit(_build_voice, folder, recipe.seed, split, voice, indices, texts[split]): (
                    split,
                    len(indices),
                )
                for split, voice, indices in groups
                if indices
            }
            for future in as_completed(futures):
                split, count = futures[future]
                entries[split] += future.result()
                progress.advance(bar, count)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(torch_threads)
    names = []
    for split, found in entries.items():
        found.sort(key=lambda entry: entry["file"])
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in found), "utf-8")
        names += [f"{split}.jsonl", *(entry["file"] for entry in found)]
    (folder / CHECKSUMS).write_text("".join(f"{checksum(folder / name)}  {name}\n" for name in names), "utf-8")
    if missing := sum(map(len, texts.values())) - sum(map(len, entries.values())):
        Console(stderr=True).print(
            f"{missing} utterances left out: not every word of them could be found in the speech"
        )


def _build_voice(folder: Path, seed: int, split: str, voice: str, indices: list[int], texts: list[str]) -> list[dict]:
    """Writes the utterances of one voice and returns their entries."""
    randoms = [np.random.default_rng([seed, SPLITS.index(split), index]) for index in indices]
    lines = [
        espeak.Line(
            texts[index],
            rate=int(random.integers(140, 206)),
            pitch=int(random.integers(30, 71)),
            range=int(random.integers(30, 71)),
        )
        for index, random in zip(indices, randoms, strict=True)
    ]
    resample = torchaudio.transforms.Resample(espeak.SAMPLE_RATE, SAMPLE_RATE)  # computes its filter once
    entries = []
    for index, line, random, speech in zip(indices, lines, randoms, espeak.speak(voice, lines), strict=True):
        if speech is None:
            continue
        clean = resample(torch.from_numpy(speech.samples.astype(np.float32) / 2**15)).numpy()
        waveform, offset, conditions = render(clean, random)
        name = f"{split}/{index:05d}.flac"
        encoded = io.BytesIO()  # soundfile does not say why it cannot write a file
        soundfile.write(encoded, waveform, SAMPLE_RATE, "PCM_16", format="FLAC", compression_level=0.0)  # half the time
        with naming(folder / name):
            (folder / name).write_bytes(encoded.getvalue())
        entries.append(
            {
                "file": name,
                "text": line.text,
                "starts": [round(start + offset, 4) for start, _ in speech.spans],
                "ends": [round(end + offset, 4) for _, end in speech.spans],
                "seconds": len(waveform) / SAMPLE_RATE,
                "voice": voice,
                "words_per_minute": line.rate,
                "pitch": line.pitch,
                **conditions,
            }
        )
    return entries


def render(clean: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, float, dict[str, float | None]]:
    """Clean speech as a microphone might have heard it: silence around it, a room, noise and some level.

    Args:
        clean: (L,) speech at 16 kHz.
        random: decides on all of it.

    Returns:
        The waveform (L',) float32, the seconds by which the speech has moved, and what was chosen.
    """
    before, after = (int(random.uniform(0.05, 0.35) * SAMPLE_RATE) for _ in range(2))
    waveform = torch.from_numpy(np.pad(clean.astype(np.float64), (before, after)))
    conditions: dict[str, float | None] = {"decay_seconds": None, "snr_db": None}
    if random.random() < 0.5:
        decay, direct_db = random.uniform(0.15, 0.45), random.uniform(2.0, 14.0)
        white = _white(random, round(decay * SAMPLE_RATE))
        room = impulse_responses(white, _one(decay), _one(10 ** (-direct_db / 10)), SAMPLE_RATE)[0]
        size = fast_length(len(waveform) + len(room) - 1)
        waveform = torch.fft.irfft(torch.fft.rfft(waveform, size) * torch.fft.rfft(room, size), size)[: len(waveform)]
        conditions["decay_seconds"] = round(decay, 3)
    if random.random() < 0.85:
        snr, exponent = random.uniform(10.0, 30.0), random.uniform(0.0, 2.0)
        noise = colored_noise(_white(random, fast_length(len(waveform))), _one(exponent))[0, : len(waveform)]
        level = float(np.sqrt(np.square(clean).mean()) * 10 ** (-snr / 20))
        waveform = waveform + level * (noise / noise.square().mean().sqrt())
        conditions["snr_db"] = round(snr, 1)
    waveform = waveform * (10 ** (-random.uniform(1.0, 12.0) / 20) / waveform.abs().max())
    return waveform.float().numpy(), before / SAMPLE_RATE, conditions


def _white(random: np.random.Generator, samples: int) -> Tensor:
    return torch.from_numpy(random.standard_normal((1, samples)))


def _one(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


def _num_cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 8)
