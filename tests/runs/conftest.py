"""A small run of each task, trained once for the session, to be read: who writes into one takes a copy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.once import made_once
from tests.runs.tiny import SHAPES, SMALL, trained

NOTES = {"low": 300.0, "mid": 900.0, "high": 2700.0}


@pytest.fixture(scope="session")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of one to three notes with silence around them, and manifests that name them; one file is broken.

    ``few.csv`` names 40 of those to train on.
    """
    return made_once(tmp_path_factory, "notes", _write_notes)


def _write_notes(folder: Path) -> None:
    folder.mkdir()
    random, silence = np.random.default_rng(0), np.random.default_rng(1)
    for split, number in (("train", 160), ("val", 8)):
        rows = ["audio,text"]
        for index in range(number):
            words = [str(word) for word in random.choice(list(NOTES), size=random.integers(1, 4))]
            seconds = np.arange(int(16000 * 0.3)) / 16000
            tones = [np.sin(2 * np.pi * NOTES[word] * seconds) * np.hanning(len(seconds)) for word in words]
            around = [np.zeros(length) for length in silence.integers(0, 4800, size=2)]
            waveform = np.concatenate([around[0], *tones, around[1]])
            soundfile.write(folder / f"{split}{index}.flac", 0.3 * waveform, 16000)
            if (split, index) == ("train", 2):
                words *= 40  # more than any recording of a second could hold
            rows.append(f"{split}{index}.flac,{' '.join(words)}")
        (folder / f"{split}.csv").write_text("\n".join(rows) + "\n")
        if split == "train":
            (folder / "few.csv").write_text("\n".join(rows[:1] + rows[4:44]) + "\n")
    # A header that promises sound, and no sound: only reading it shows what is wrong.
    broken = (folder / "train0.flac").read_bytes()
    (folder / "train1.flac").write_bytes(broken[: len(broken) // 4])


@pytest.fixture(scope="session")
def speech_run(notes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(
        tmp_path_factory,
        "experiment=listen_attend_spell_grid",
        "data=manifest",
        f"data.train={notes / 'train.csv'}",
        f"data.val={notes / 'val.csv'}",
        "data.batch_size=8",
        "encoder=pyramid_lstm",  # of all listeners the one that learns from the fewest recordings
        "encoder.hidden_dim=32",
        "trainer.precision=32-true",
        "encoder.front_end.num_mels=24",
        "encoder.front_end.speeds=[]",
        "encoder.front_end.num_time_masks=0",
        "encoder.front_end.num_mel_masks=0",
        "tokenizer=word",
        "optimizer.lr=0.005",
        "trainer.max_epochs=12",
        *SMALL,
    )


@pytest.fixture(scope="session")
def picture_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory, *SHAPES, "trainer.max_epochs=2")


def noisy(notes: Path) -> list[str]:
    """A speech training with everything that draws at random or counts, on 40 recordings."""
    return [
        "experiment=listen_attend_spell_grid",
        "data=manifest",
        f"data.train={notes / 'few.csv'}",
        f"data.val={notes / 'val.csv'}",
        "data.batch_seconds=6",
        "data.short_first_epochs=1",
        "trainer.precision=32-true",
        "trainer.max_epochs=3",
        "encoder=conv_lstm",
        "encoder.channels=[2,4]",
        "encoder.hidden_dim=8",
        "encoder.num_layers=1",
        "encoder.front_end.num_mels=16",
        "encoder.front_end.noise.probability=0.5",
        "encoder.front_end.reverberation.probability=0.5",
        *SMALL,
        "encoder.dropout=0.2",
        "callbacks.attention_maps.num_examples=0",
    ]
