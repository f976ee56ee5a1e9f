"""Photos and recordings of every kind through a run, from the file to the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from multimodal_attn.__main__ import main
from multimodal_attn.commands import predict as module
from multimodal_attn.commands.predict import predict_files
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.prediction.build import build_predictor
from multimodal_attn.prediction.prediction import Prediction
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.prediction.sources import read_all
from multimodal_attn.runs.configuration import compose, plain
from multimodal_attn.search.beam import BeamSearch
from multimodal_attn.types import UnreadableError

LEFT, RIGHT = (200, 40, 40), (40, 40, 200)


def predictor(*overrides: str) -> Predictor:
    """A small model that has learned nothing."""
    config = plain(compose("train", [*overrides, "run_dir=x", "cache_dir=x", "decoder.hidden_dim=16"]))
    torch.manual_seed(0)
    untrained = build_predictor(config, WordTokenizer().fit(["a red dog runs"]))
    untrained.model.eval()
    return untrained.with_search(BeamSearch(2, max_length=5))


@pytest.fixture(scope="module")
def captioner() -> Predictor:
    return predictor("data.image_size=32", "encoder.channels=[4,4]", "encoder.strides=[4,2]", "encoder.dim=8")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """One scene, red to the left and blue to the right, 60 x 30, in every form in which a photo comes."""
    pixels = np.empty((30, 60, 3), np.uint8)
    pixels[:, :30], pixels[:, 30:] = LEFT, RIGHT
    scene = Image.fromarray(pixels)
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    scene.save(folder / "plain.png")
    scene.save(folder / "small.WEBP", lossless=True)
    scene.resize((1500, 900), Image.Resampling.NEAREST).save(folder / "below" / "large.jpg", quality=95)
    scene.quantize(8).save(folder / "palette.gif")
    scene.convert("CMYK").save(folder / "cmyk.tif")
    exif = Image.Exif()
    exif[0x0112] = 8  # to be turned by 90 degrees anticlockwise
    scene.transpose(Image.Transpose.ROTATE_270).save(folder / "turned.png", exif=exif)
    clear = scene.convert("RGBA")
    clear.putalpha(Image.fromarray(np.where(np.arange(60) < 30, 255, 0).astype(np.uint8)[None].repeat(30, 0)))
    clear.save(folder / "alpha.png")
    scene.convert("L").save(folder / "grey.png")
    Image.fromarray(np.asarray(scene.convert("L")).astype(np.uint16) * 257).save(folder / "deep.png")
    (folder / "torn.png").write_bytes((folder / "plain.png").read_bytes()[:60])
    (folder / "notes.txt").write_text("no photo")
    return folder


def test_the_right_pixels_arrive_from_every_kind_of_file(captioner: Predictor, photos: Path) -> None:
    grey = [(87, 87, 87), (58, 58, 58)]  # 0.299 r + 0.587 g + 0.114 b
    expected = {name: [LEFT, RIGHT] for name in ("plain.png", "small.WEBP", "large.jpg", "palette.gif", "cmyk.tif")}
    expected |= {"turned.png": [LEFT, RIGHT], "alpha.png": [LEFT, (255,) * 3], "grey.png": grey, "deep.png": grey}
    paths = [path for path in photos.rglob("*") if path.name in expected]
    assert len(paths) == len(expected)
    for record in predict_files(captioner, read_all(captioner.reader, paths)):
        assert isinstance(record, Prediction)
        assert record.source.shape == (32, 32, 3)
        halves = [record.source[:, columns].mean((0, 1)).tolist() for columns in (slice(2, 13), slice(19, 30))]
        for found, colour in zip(halves, expected[Path(record.key).name], strict=True):
            assert found == pytest.approx(colour, abs=4), record.key


def test_photos_are_decoded_together_and_come_in_order(
    captioner: Predictor, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["plain.png", "torn.png", "grey.png", "missing.png", "deep.png", "turned.png"]
    alone = {name: captioner(photos / name) for name in ("plain.png", "grey.png", "deep.png", "turned.png")}
    monkeypatch.setattr(type(captioner.reader), "at_once", 4)
    found = list(predict_files(captioner, read_all(captioner.reader, (photos / name for name in names))))
    assert [Path(item.path if isinstance(item, UnreadableError) else item.key).name for item in found] == names
    for name, item in zip(names, found, strict=True):
        if isinstance(item, Prediction):
            assert item.text == alone[name].text
            np.testing.assert_allclose(item.weights, alone[name].weights, atol=1e-5)
        else:
            assert item.reason.endswith("(this run expects a picture)")


def test_folder_gives_captions_a_count_of_what_is_skipped_and_one_page(
    captioner: Predictor, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "load", lambda *_, **__: captioner)
    page = photos.parent / "page.html"
    assert main(["predict", "run", str(photos), "--page", "--page-path", str(page)]) == 0
    printed = capsys.readouterr()
    captioned = [line.split("\t")[0] for line in printed.out.splitlines()[:-1]]
    assert [Path(name).name for name in captioned[:3]] == ["alpha.png", "large.jpg", "cmyk.tif"]
    assert len(captioned) == 9
    assert f"skipped {photos / 'notes.txt'}: ends in none of jpg, jpeg" in printed.err
    assert f"skipped {photos / 'torn.png'}: not a readable picture" in printed.err
    assert "9 pictures read, 2 skipped" in printed.err
    assert page.read_text(encoding="utf-8").count('id="example-') == 9
    assert main(["predict", "run", str(photos / "torn.png")]) == 1


def test_cropping_run_crops(photos: Path) -> None:
    cropper = predictor(
        "data=manifest",
        "data.train=x",
        "data.fit=crop",
        "data.image_size=30",
        "encoder.channels=[4]",
        "encoder.strides=[5]",
    )
    assert cropper(photos / "plain.png").source[5, [14, 15]].tolist() == [list(LEFT), list(RIGHT)]
    assert cropper(photos / "plain.png").source[5, 0].tolist() == list(LEFT)


def test_folder_of_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At any rate, mono or stereo; what is a picture is skipped by its name, what is torn by its content."""
    listener = predictor("experiment=listen_attend_spell_grid", "data.root=x", "encoder.hidden_dim=8")
    for name, rate, shape in (("a.wav", 8000, (8000,)), ("b.flac", 44100, (30000, 2)), ("c.ogg", 16000, (12000,))):
        soundfile.write(tmp_path / name, 0.1 * np.sin(np.arange(np.prod(shape)) / 9).reshape(shape), rate)
    (tmp_path / "torn.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:30])
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    monkeypatch.setattr(module, "load", lambda *_, **__: listener)
    assert main(["predict", "run", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert [Path(line.split("\t")[0]).name for line in printed.out.splitlines()] == ["a.wav", "b.flac", "c.ogg"]
    assert "photo.png: ends in none of wav" in printed.err
    assert "torn.wav: not readable as audio" in printed.err
    assert "3 recordings read, 2 skipped" in printed.err


# ------------------------------------------------------------------------------------------------- from Python


def same(one: Prediction, other: Prediction) -> bool:
    return one.text == other.text and bool(np.array_equal(one.source, other.source))


def test_a_picture_may_be_a_path_bytes_an_image_an_array_or_a_tensor(captioner: Predictor, photos: Path) -> None:
    path = photos / "plain.png"
    expected = captioner(path)
    image = Image.open(path)
    array = np.asarray(image)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    for source in (str(path), path.read_bytes(), image, array, tensor, array / 255, tensor / 255):
        assert same(captioner(source), expected), type(source)
    assert [same(found, expected) for found in captioner([path, image, array])] == [True] * 3
    assert captioner([]) == []
    assert captioner(array[..., 0]).source.shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("nowhere.png", "no such file"),
        (b"no picture", "not a readable picture"),
        (b"", "not a readable picture"),
        (np.zeros((3, 4, 5, 3), np.uint8), "has the shape (3, 4, 5, 3)"),
        (np.zeros((0, 4, 3), np.uint8), "has the shape (0, 4, 3)"),
        (np.full((4, 4, 3), 7.0), "has floats outside of [0, 1]"),
        (np.full((4, 4, 3), np.nan), "has floats outside of [0, 1]"),
        (np.full((4, 4, 3), 300), "is of int64"),
        (np.full((4, 4, 3), -1), "is of int64"),
        (object(), "has the shape ()"),
        (None, "has the shape ()"),
        (3, "has the shape ()"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(captioner: Predictor, source: Any, reason: str) -> None:
    with pytest.raises(UnreadableError) as error:
        captioner(source)
    assert reason in str(error.value)
    assert "(this run expects a picture)" in str(error.value)


def test_words_have_maps_of_the_grid_and_the_search_gives_others(captioner: Predictor, photos: Path) -> None:
    found = captioner(photos / "plain.png")
    assert len(found.words) == len(found.text.split())
    for word, text in zip(found.words, found.text.split(), strict=True):
        assert word.text == text
        assert word.map.shape == (4, 4)
        assert word.map.sum() == pytest.approx(1, abs=1e-4)
        assert (word.start, word.end) == (None, None)
        assert 0 < word.probability <= 1
        assert word.gate is not None
    assert all(found.score >= other.score for other in found.others)
    with pytest.raises(ValueError, match=r"expected one that multimodal_attn.load has made"):
        found.plot()


def test_words_of_a_recording_have_times(tmp_path: Path) -> None:
    listener = predictor("experiment=listen_attend_spell_grid", "data.root=x", "encoder.hidden_dim=8")
    sound = 0.1 * np.sin(np.arange(32000) / 9).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", sound, 16000, subtype="FLOAT")
    expected = listener(tmp_path / "a.wav")
    content = (tmp_path / "a.wav").read_bytes()
    for source in (content, sound, torch.from_numpy(sound), sound[None], np.stack([sound, sound])):
        assert same(listener(source), expected), type(source)
    half = listener(sound[::2], sample_rate=8000)
    assert len(half.source) == 32000
    for word in expected.words:
        assert word.map.ndim == 1
        assert word.start is not None
        assert word.end is not None
        assert 0 <= word.start <= word.end <= 2.05
    for source, reason in (
        (np.zeros(10, np.float32), "at least 0.025 s are needed"),
        (np.full(16000, np.nan, np.float32), "NaN or infinite"),
        (np.zeros((2, 3, 4), np.float32), "has the shape (2, 3, 4)"),
        (np.zeros(16000, np.int64), "of int64"),
    ):
        with pytest.raises(UnreadableError, match="this run expects a recording") as error:
            listener(source)
        assert reason in str(error.value)


def test_a_pause_before_the_first_sound_of_a_recording_is_not_read(tmp_path: Path) -> None:
    listener = predictor(
        "experiment=conformer_transformer_grid", "data.root=x", "encoder.num_layers=1", "encoder.hidden_dim=16"
    )
    noise = 0.1 * np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    soon, late = (np.concatenate([np.zeros(samples, np.float32), noise]) for samples in (1600, 33600))
    soundfile.write(tmp_path / "late.wav", late, 16000, subtype="FLOAT")
    expected = listener(soon)
    assert expected.text
    read = list(predict_files(listener, read_all(listener.reader, [tmp_path / "late.wav"]), layers=True))
    for found in (listener(late), *read):
        assert isinstance(found, Prediction)
        assert found.text == expected.text
        np.testing.assert_allclose(found.weights, expected.weights, atol=1e-5)
        assert len(found.source) == len(late)
        assert found.layout.offset_seconds == pytest.approx(expected.layout.offset_seconds + 2)
        times, soon_times = ([(word.start, word.end) for word in each.words] for each in (found, expected))
        np.testing.assert_allclose(times, np.array(soon_times) + 2, atol=1e-6)
    assert read[0].self_attention.reads[0].shape == (1, expected.weights.shape[-1])


def test_the_model_is_in_its_mode_again_after_a_prediction(captioner: Predictor, photos: Path) -> None:
    captioner.model.train()
    try:
        captioner(photos / "plain.png")
        assert captioner.model.training
    finally:
        captioner.model.eval()


def test_tokens_know_which_stream_they_drew_on(tmp_path: Path) -> None:
    conv = ("channels=[4,4]", "strides=[4,2]", "dim=8")
    streams = [f"encoder.streams.{name}.{each}" for name in ("what", "where") for each in conv]
    kinds = [f"encoder@encoder.streams.{name}=image_conv" for name in ("what", "where")]
    model = predictor("data.image_size=32", "encoder=streams", *kinds, *streams, "encoder.dim=8", "encoder.grid=4")
    Image.new("RGB", (40, 40), LEFT).save(tmp_path / "photo.png")
    (prediction,) = predict_files(model, read_all(model.reader, [tmp_path / "photo.png"]))
    assert isinstance(prediction, Prediction)
    for found in (prediction, *prediction.others):
        what, where = found.streams["what"], found.streams["where"]
        assert len(what) == len(found.tokens)
        np.testing.assert_allclose(what + where, 1, atol=1e-3)
