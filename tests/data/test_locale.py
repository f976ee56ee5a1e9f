"""An ASCII locale: files are UTF-8, and names are what they are, whatever the environment says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
from multimodal_attn.data.datasets.flickr8k import Flickr8k
from multimodal_attn.data.datasets.ljspeech import LJSpeech
from multimodal_attn.data.datasets.manifest import Manifest
from multimodal_attn.data.reading.files import file_name, find_files, write_skipped
from multimodal_attn.runs.exit import explained
assert sys.getfilesystemencoding() == "ascii", sys.getfilesystemencoding()
with explained():
    root = Path(sys.argv[1])
    for data in (
        Manifest("train", root / "a.csv", root / "a.csv"), Flickr8k("train", root), LJSpeech("train", root, 1, 1)
    ):
        example = data[0]
        print(example.key, example.targets[0].text, data.skipped)
    files, _ = find_files([root / "odd"], ("wav",))
    print(files[0].name, file_name(files[0].name).isascii())
    write_skipped(root / "skipped.txt", data.skipped)
"""


def test_names_and_texts_are_utf_8(tmp_path: Path) -> None:
    photos = tmp_path / "Flicker8k_Dataset"
    for folder in (photos, tmp_path / "Flickr8k_text", tmp_path / "wavs", tmp_path / "odd"):
        folder.mkdir()
    Image.new("RGB", (8, 8)).save(photos / "caf\u00e9.jpg")
    (tmp_path / "a.csv").write_text("image,caption\nFlicker8k_Dataset/caf\u00e9.jpg,\u00dcber\n", encoding="utf-8")
    (tmp_path / "Flickr8k_text" / "Flickr_8k.trainImages.txt").write_text("caf\u00e9.jpg\n", encoding="utf-8")
    tokens = tmp_path / "Flickr8k_text" / "Flickr8k.token.txt"
    tokens.write_text("caf\u00e9.jpg#0\t\u00c4hnlich\n", encoding="utf-8")
    for number in range(3):
        soundfile.write(tmp_path / "wavs" / f"\u00fc{number}.wav", np.zeros(8000), 16000)
    lines = "".join(f"\u00fc{number}|x|\u00d6de\n" for number in range(3))
    (tmp_path / "metadata.csv").write_text(lines, encoding="utf-8")
    open(os.fsencode(tmp_path / "odd") + b"/caf\xe9.wav", "wb").close()
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONIOENCODING", None)
    done = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    first, second, third, odd = done.stdout.splitlines()
    assert first.decode() == "Flicker8k_Dataset/caf\u00e9.jpg \u00fcber []"
    assert second.decode() == "caf\u00e9.jpg \u00e4hnlich []"
    assert third.decode().partition(" ")[2] == "\u00f6de []"
    assert odd == b"caf\xe9.wav True"
