from __future__ import annotations

import json
import re
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from multimodal_attn.__main__ import main
from multimodal_attn.data.reading.word_times import TimedText, write_word_times
from multimodal_attn.types import Span, Target


def write(folder: Path, *lines: dict[str, Any]) -> Path:
    (folder / "truth.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "truth.jsonl"


def measured(maps: Path, truth: Path) -> dict[str, Any]:
    output = truth.parent / "measured"
    assert main(["measure", str(maps), str(truth), "--output", str(output)]) == 0
    assert (output / "index.html").read_text().startswith("<!doctype html>")
    return json.loads((output / "metrics.json").read_text())


def test_word_times_of_a_ctm_file(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "u.wav", np.zeros(16_000), 16_000)
    unknown = [f"{name} 1 0.0 1.0 stop" for name in ("x", "w", "z", "y")]
    lines = ["u 1 0.10 0.20 go 0.9", "u 1 0.36 0.30 home", "v 1 0.0 1.0 stop", *unknown]
    (tmp_path / "words.ctm").write_text("\n".join([";; Whisper", *lines]) + "\n")
    truth = write(
        tmp_path,
        {"key": "u", "audio": "u.wav", "text": "go home", "times": [[0.1, 0.3], [0.3, 0.6]]},
        {"key": "v", "text": "stop", "times": [[0.02, 0.9]]},
    )
    found = measured(tmp_path / "words.ctm", truth)
    assert found["onset_error_ms"] == pytest.approx(20)
    assert found["onset_mean_error_ms"] == pytest.approx((0 + 60 + 20) / 3)
    assert found["word_times_f1_50_ms"] == pytest.approx(1 / 3)
    assert found["word_times_f1_100_ms"] == pytest.approx(1)
    assert found["onset_even_ms"] > found["onset_error_ms"]
    assert not [name for name in found if name.startswith("attention_")]  # nobody attended to anything
    page = (tmp_path / "measured" / "index.html").read_text()
    assert page.count('"entropy":null,"peak":null,"hits":null,"sink":null') == 2
    skipped = (tmp_path / "measured" / "skipped.txt").read_text().splitlines()
    assert [line[0] for line in skipped] == ["x", "w", "z", "y"]  # as the file has them


def test_figures_of_maps_have_intervals_and_a_shape(tmp_path: Path) -> None:
    maps = np.full((4, 10), 0.01)
    maps[:, 0] = 1  # a sink
    for word in range(4):
        maps[word, 2 * word + 2] = 0.5
    np.savez(tmp_path / "maps.npz", u=maps, v=maps[:3])
    times = [[0.2 * word, 0.2 * word + 0.1] for word in range(4)]
    line = {"key": "u", "text": "go home by bus", "step_seconds": 0.1, "times": times}
    other = {**line, "key": "v", "text": "go home by", "times": [[0.0, 0.1], [0.3, 0.4], [0.6, 0.7]]}
    found = measured(tmp_path / "maps.npz", write(tmp_path, line, other))
    assert found["attention_sink"] == pytest.approx(1 / 1.58)
    assert found["onset_peak_error_ms"] == pytest.approx(300)  # of 0, 200, 400, 600, and 0, 300, 600 ms
    low, high = found["intervals"]["onset_error_ms"]
    assert low <= found["onset_error_ms"] <= high + 0.1
    assert low < high
    page = (tmp_path / "measured" / "index.html").read_text()
    assert '"score":null' in page  # nobody searched
    assert re.search(r'"interval":"26\d to 26\d ms"', page)


def test_words_of_two_channels_are_not_mixed(tmp_path: Path) -> None:
    (tmp_path / "words.ctm").write_text("u A 0.1 0.2 go\nu B 0.3 0.3 home\nv 1 0.1 0.2 go\n")
    line = {"text": "go home", "times": [[0.1, 0.3], [0.3, 0.6]]}
    found = measured(tmp_path / "words.ctm", write(tmp_path, {"key": "u", **line}, {"key": "v", **line}))
    assert (found["num_examples"], found["num_skipped"]) == (1, 1)
    assert "u\thas words on the channels A, B" in (tmp_path / "measured" / "skipped.txt").read_text()


def test_a_key_counts_once(tmp_path: Path) -> None:
    (tmp_path / "words.ctm").write_text("u 1 0.1 0.2 go\n")
    line = {"key": "u", "text": "go", "times": [[0.1, 0.3]]}
    found = measured(tmp_path / "words.ctm", write(tmp_path, line, {**line, "times": [[0.9, 1.0]]}))
    assert (found["num_examples"], found["onset_error_ms"]) == (1, 0)
    assert "truth.jsonl:2" in (tmp_path / "measured" / "skipped.txt").read_text()


def test_a_ctm_file_names_recordings_without_folder_and_suffix(tmp_path: Path) -> None:
    (tmp_path / "words.ctm").write_text("u 1 0.1 0.2 go\nv 1 0.1 0.2 go\nwavs/w.wav 1 0.1 0.2 go\nw 1 0.5 0.2 go\n")
    keys = ("wavs/u.wav", "one/v.wav", "two/v.wav", "wavs/w.wav")
    lines = [{"key": key, "text": "go", "times": [[0.1, 0.3]]} for key in keys]
    found = measured(tmp_path / "words.ctm", write(tmp_path, *lines))
    assert (found["num_examples"], found["onset_error_ms"]) == (2, 0)  # u and wavs/w.wav: v is one of two
    skipped = (tmp_path / "measured" / "skipped.txt").read_text()
    assert all(key in skipped for key in ("one/v.wav\t", "two/v.wav\t", "v\t", "w\t"))


def test_word_times_of_an_aligner_are_a_truth(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "u.wav", np.zeros(16_000), 16_000)
    (tmp_path / "words.ctm").write_text("u 1 0.12 0.2 go\n")
    target = Target("go", times=(Span(0.1, 0.3),), timed_by="an aligner")
    write_word_times(tmp_path / "word_times.jsonl", [TimedText("val", "u", target, "u.wav")])
    found = measured(tmp_path / "words.ctm", tmp_path / "word_times.jsonl")
    assert found["aligner_onset_error_ms"] == pytest.approx(20)
    assert found["aligner_onset_even_ms"] == pytest.approx(100)  # of the second that the recording lasts


def test_maps_of_another_length_than_their_recording_are_left_out(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "u.wav", np.zeros(32_000), 16_000)
    np.savez(tmp_path / "maps.npz", u=np.ones((1, 50)), v=np.ones((1, 50)))
    line = {"audio": "u.wav", "text": "go", "times": [[0.3, 0.6]]}
    steps = {"u": 0.04, "v": 0.02}
    truth = write(tmp_path, *({"key": key, "step_seconds": step, **line} for key, step in steps.items()))
    assert measured(tmp_path / "maps.npz", truth)["num_examples"] == 1
    skipped = (tmp_path / "measured" / "skipped.txt").read_text()
    assert skipped.startswith("v\thas maps over 1.00 s, but a recording of 2.00 s")


def test_words_that_are_written_otherwise_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words.ctm").write_text("u 1 0.10 0.20 Go.\n")
    truth = write(tmp_path, {"key": "u", "text": "go", "times": [[0.1, 0.3]]})
    assert measured(tmp_path / "words.ctm", truth)["word_times_f1_200_ms"] == 0
    assert "no word is written as" in capsys.readouterr().err


def test_a_truth_of_texts_alone_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words.ctm").write_text("u 1 0.10 0.20 go\n")
    measured(tmp_path / "words.ctm", write(tmp_path, {"key": "u", "text": "go"}))
    assert "has no boxes and no times of these words" in capsys.readouterr().err


def test_maps_over_a_picture_by_the_words_of_a_phrase(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20), "red").save(tmp_path / "1.jpg")
    maps = np.full((3, 2, 4), 0.01)
    maps[2, 0, 3] = 1.0  # the star, at the top right
    np.savez(tmp_path / "maps.npz", **{"1": maps, "2": maps[:2], "other": maps})
    boxes = {"2": [[0.75, 0.0, 1.0, 0.5]]}
    truth = write(
        tmp_path,
        {"key": "1", "image": "1.jpg", "text": "a red star", "boxes": boxes},
        {"key": "2", "text": "a red star", "boxes": boxes},
        {"key": "3", "text": "a red star", "boxes": {"7": [[0, 0, 1, 1]]}},
    )
    found = measured(tmp_path / "maps.npz", truth)
    assert (found["pointing_accuracy"], found["pointing_uniform"]) == (1, 1 / 8)
    assert found["box_mass_gain"] == pytest.approx(1 / 1.07 - 1 / 8)
    assert (found["num_examples"], found["num_skipped"]) == (1, 3)
    skipped = (tmp_path / "measured" / "skipped.txt").read_text()
    assert "expected a map of numbers for each of the 3 words" in skipped  # 2 has maps for two
    assert "truth.jsonl:3" in skipped
    assert "other\thas no usable line" in skipped


def test_maps_over_time_are_bounded_in_the_sound(tmp_path: Path) -> None:
    waveform = np.zeros(16_000)
    waveform[4_800:9_600] = np.random.default_rng(0).standard_normal(4_800) / 10
    soundfile.write(tmp_path / "u.wav", waveform, 16_000)
    maps = np.zeros((1, 25))
    maps[0, 5:14] = 1 / 9  # begins 100 ms too early
    np.savez(tmp_path / "maps.npz", u=maps)
    line = {"key": "u", "text": "go", "times": [[0.3, 0.6]], "step_seconds": 0.04}
    assert measured(tmp_path / "maps.npz", write(tmp_path, line))["onset_error_ms"] == pytest.approx(100)
    line |= {"audio": "u.wav", "by": "an aligner"}
    assert measured(tmp_path / "maps.npz", write(tmp_path, line))["aligner_onset_error_ms"] <= 20


@pytest.mark.parametrize(
    ("content", "message"),
    [("u 1 0.1 word\n", "words.ctm:1"), ("u 1 zero 0.1 word\n", "words.ctm:1")],
)
def test_a_damaged_ctm(tmp_path: Path, content: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "words.ctm").write_text(content)
    truth = write(tmp_path, {"key": "u", "text": "go", "times": [[0.3, 0.6]]})
    assert main(["measure", str(tmp_path / "words.ctm"), str(truth), "--output", str(tmp_path / "m")]) != 0
    assert message in capsys.readouterr().err


def test_files_that_are_neither(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "maps.npz").write_text("no archive")
    truth = write(tmp_path, {"key": "u", "text": "go"})
    assert main(["measure", str(tmp_path / "maps.npz"), str(truth)]) != 0
    assert "expected an npz of arrays by key" in capsys.readouterr().err
    assert main(["measure", str(tmp_path / "maps.npz"), str(write(tmp_path, {"text": "go"}))]) != 0
    assert "has no usable line" in capsys.readouterr().err


BAD_TRUTHS: list[dict[str, Any]] = [
    *({"times": times} for times in ([[0.1]], [["a", "b"]], {"a": 1}, 3, [[0.3, 0.1]], [[-1, 0.1]], [[0, 1e300]])),
    *({"times": [[0.1, value]]} for value in (float("nan"), float("inf"))),
    *({"boxes": boxes} for boxes in ([1], "x", {"0": 3}, {"0": [[1]]}, {"x": [[0, 0, 1, 1]]}, {"9" * 5000: []})),
    *({"step_seconds": value} for value in (0, -1, 1e-300, 1e300, float("nan"), "x", [])),
    *({"text": value, "times": [[0, 1]]} for value in ("", None, [], {})),
    *({"audio": value} for value in ("nowhere.wav", "\0", "/dev/zero", "..", "a" * 300, 3)),
    {"written": ""},
]


@pytest.mark.parametrize("maps", ["maps.npz", "words.ctm"])
def test_odd_lines_of_a_truth_are_skipped_by_name(
    maps: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "maps.npz", good=np.ones((1, 5)), **{f"odd{n}": np.ones((1, 5)) for n in range(99)})
    (tmp_path / "words.ctm").write_text("".join(f"{key} 1 0.1 0.2 go\n" for key in ("good", "odd0", "odd1")))
    good = {"key": "good", "text": "go", "times": [[0.3, 0.6]], "step_seconds": 0.1}
    odd = [{**good, "key": f"odd{number}", **changes} for number, changes in enumerate(BAD_TRUTHS)]
    found = measured(tmp_path / maps, write(tmp_path, good, *odd))
    assert found["num_examples"] + found["num_skipped"] >= len(BAD_TRUTHS) + 1
    assert "Traceback" not in capsys.readouterr().err
    skipped = (tmp_path / "measured" / "skipped.txt").read_text()
    assert skipped.count("\n") == found["num_skipped"]


def npy(header: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


def test_archives_of_strangers_take_no_memory(tmp_path: Path) -> None:
    shapes = ["(1, 10**9)", "(1, 1000000000000)", "(1, -5)", "(" * 50, "(1, 5)", "()"]
    members = {
        f"odd{number}.npy": npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}\n")
        for number, shape in enumerate(shapes)
    }
    members |= {
        "odd6.npy": npy("{'descr': '|O', 'fortran_order': False, 'shape': (1, 5)}\n"),
        "odd7.npy": b"",
        "odd8": b"x",
    }
    members["odd9.npy"] = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 100000000)}\n") + bytes(8 * 10**6)
    np.savez(tmp_path / "maps.npz", good=np.ones((1, 5)))
    with zipfile.ZipFile(tmp_path / "maps.npz", "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    line = {"text": "go", "times": [[0.3, 0.6]], "step_seconds": 0.1}
    keys = ["good", *(f"odd{number}" for number in range(10))]
    tracemalloc.start()
    found = measured(tmp_path / "maps.npz", write(tmp_path, *({**line, "key": key} for key in keys)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found["num_examples"], found["num_skipped"]) == (1, 10)
    assert peak < 200e6


@pytest.mark.parametrize(
    "content", [b"", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (10**12,)}"), b"PK\5\6" + bytes(18)]
)
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "maps.npz").write_bytes(content)
    truth = write(tmp_path, {"key": "u", "text": "go", "times": [[0.3, 0.6]], "step_seconds": 0.1})
    assert main(["measure", str(tmp_path / "maps.npz"), str(truth), "--output", str(tmp_path / "m")]) == 2
    errors = capsys.readouterr().err
    assert errors
    assert "Traceback" not in errors


def test_times_of_a_lifetime_take_no_memory(tmp_path: Path) -> None:
    (tmp_path / "words.ctm").write_text("u 1 0 1e300 go\nv 1 0.3 0.2 go\n")
    line = {"text": "go", "times": [[0.3, 0.6]]}
    found = measured(tmp_path / "words.ctm", write(tmp_path, {**line, "key": "u"}, {**line, "key": "v"}))
    assert (found["num_examples"], found["num_skipped"]) == (1, 1)


@pytest.mark.parametrize("time", ["nan 1", "inf 1", "-1 2", "0 -1", "0 inf"])
def test_times_that_make_no_sense_name_their_line(
    time: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "words.ctm").write_text(f"u 1 {time} go\n")
    truth = write(tmp_path, {"key": "u", "text": "go", "times": [[0.3, 0.6]]})
    assert main(["measure", str(tmp_path / "words.ctm"), str(truth), "--output", str(tmp_path / "m")]) == 2
    assert "words.ctm:1" in capsys.readouterr().err


@pytest.mark.slow
def test_maps_of_a_hugging_face_model(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    import torch

    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.ViTConfig(**shape, image_size=32, patch_size=8, attn_implementation="eager")
    model = transformers.ViTModel(config).eval()
    with torch.no_grad():
        layers = model(torch.rand(1, 3, 32, 32), output_attentions=True).attentions
    patches = layers[-1][0].mean(0)[0, 1:].reshape(1, 4, 4)  # of the class token
    np.savez(tmp_path / "maps.npz", photo=patches.numpy())
    truth = write(tmp_path, {"key": "photo", "text": "dog", "boxes": {"0": [[0.0, 0.0, 0.5, 1.0]]}})
    found = measured(tmp_path / "maps.npz", truth)
    assert found["pointing_uniform"] == 0.5
    assert 0 < found["box_mass_gain"] + 0.5 < 1
