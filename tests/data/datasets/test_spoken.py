from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from multimodal_attn.data.datasets.spoken import Spoken
from multimodal_attn.data.synthesis import corpus, espeak
from multimodal_attn.data.synthesis.sentences import sentences

SIZE = {"num_train": 4, "num_val": 3, "num_test": 2}
RECIPE = corpus.Recipe(4, 3, 2)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache with the tiny corpus in it; only to be read."""
    pytest.importorskip("espeakng_loader")
    folder = tmp_path_factory.mktemp("cache")
    Spoken("train", folder, **SIZE)
    return folder


@pytest.fixture
def copy(cache, tmp_path):
    """The same, to be damaged."""
    return shutil.copytree(cache, tmp_path / "cache")


@pytest.fixture
def no_build(monkeypatch):
    def fail(*_):
        raise AssertionError("the corpus was built again")

    monkeypatch.setattr(corpus, "build", fail)


# ------------------------------------------------------------------------------------------------ language and voices


def test_sentences_differ_and_have_four_to_nine_words():
    texts = sentences(1500, seed=1)
    assert len(set(texts)) == 1500
    assert {len(text.split()) for text in texts} == set(range(4, 10))
    assert 70 <= len({word for text in texts for word in text.split()}) <= 100
    assert texts[:50] == sentences(50, seed=1)
    assert texts[:50] != sentences(50, seed=2)


def test_splits_share_neither_sentence_nor_voice_nor_timbre():
    texts = corpus.Recipe(300, 50, 40).texts()
    assert {split: len(found) for split, found in texts.items()} == {"train": 300, "val": 50, "test": 40}
    assert len(set().union(*texts.values())) == 390
    timbres = {split: {voice.split("+")[1] for voice in voices} for split, voices in corpus.VOICES.items()}
    assert not timbres["train"] & (timbres["val"] | timbres["test"])
    assert not timbres["val"] & timbres["test"]


def test_every_variant_exists():
    # espeak-ng takes a variant that it does not have for none, without a word.
    variants = Path(pytest.importorskip("espeakng_loader").get_data_path()) / "voices" / "!v"
    for voice in sum(corpus.VOICES.values(), ()):
        assert (variants / voice.split("+")[1]).is_file(), voice


# ------------------------------------------------------------------------------------------------ times


def word(position: int, sample: int) -> tuple[int, int, int, str]:
    return 1, position, sample, ""


def phoneme(name: str, sample: int) -> tuple[int, int, int, str]:
    return 7, 0, sample, name


def test_word_starts_finds_the_second_word_of_one_entry():
    events = [word(1, 0), phoneme("I", 10), phoneme("n", 20), phoneme("D", 30), phoneme("@", 40), word(8, 50)]
    assert espeak.word_starts("in the hall", events) == [0, 30, 50]
    assert espeak.word_starts("in the hall", [*events[:3], events[5]]) is None  # no "th" to be found
    assert espeak.word_starts("in a hall", events) is None
    assert espeak.word_starts("in the hall", events[:-1]) is None
    assert espeak.word_starts("in the hall", [*events, word(9, 60)]) is None


def test_audible_spans_leave_silence_out():
    samples = np.zeros(4 * 2205, dtype=np.int16)
    samples[2205:3300] = 8000
    samples[3300:4000] = 20  # more than 45 dB below
    samples[5500:6600] = 4000
    spans = espeak.audible_spans(samples, [1100, 4400])
    expected = [(2205, 3300), (5500, 6600)]
    np.testing.assert_allclose(spans, np.array(expected) / espeak.SAMPLE_RATE, atol=0.006)
    assert espeak.audible_spans(samples, [0, 1100, 4400]) is None


def test_voice_that_does_not_exist():
    pytest.importorskip("espeakng_loader")
    with pytest.raises(RuntimeError, match=r"could not speak as 'nobody': .*no such voice"):
        espeak.speak("nobody", [espeak.Line("call one two three")])


# ------------------------------------------------------------------------------------------------ the corpus


@pytest.mark.parametrize(("split", "count"), [("train", 4), ("val", 3), ("test", 2)])
def test_examples(cache, no_build, split, count):
    dataset = pickle.loads(pickle.dumps(Spoken(split, cache, **SIZE)))
    assert len(dataset) == len(dataset.texts()) == len(dataset.voices) == count
    assert dataset.texts() == RECIPE.texts()[split]
    assert set(dataset.voices) <= set(corpus.VOICES[split])
    assert dataset.skipped == []
    for index in range(count):
        example = dataset[index]
        assert example.source.dtype == torch.float32
        assert len(example.source) == dataset.lengths()[index] * 16000
        assert 0.2 < example.source.abs().max() < 1
        (target,) = example.targets
        assert target.text == dataset.texts()[index]
        assert len(target.times) == len(target.text.split())
        edges = [edge for span in target.times for edge in span]
        assert edges == sorted(edges)
        assert edges[0] >= 0.05
        assert edges[-1] <= dataset.lengths()[index] - 0.04
        assert all(0.05 < end - start < 1.0 for start, end in target.times)


def test_words_are_heard_where_they_are_said_to_be():
    pytest.importorskip("espeakng_loader")
    text = "turn off the radio in the kitchen at seven"
    for speech in espeak.speak("en-us+m6", [espeak.Line(text), espeak.Line(text, rate=205, pitch=70)]):
        samples = speech.samples / 2**15
        spans = [slice(round(a * espeak.SAMPLE_RATE), round(b * espeak.SAMPLE_RATE)) for a, b in speech.spans]
        assert len(spans) == 9
        assert np.abs(samples[: spans[0].start]).max(initial=0) < 0.01  # nothing before the first word
        assert np.abs(samples[spans[0].start : spans[0].start + 441]).max() > 0.002  # but sound from its start on
        assert min(np.square(samples[span]).mean() for span in spans) > 1e-5
        closure = samples[spans[6].start - 441 : spans[6].start]  # of the k of "kitchen"
        assert np.square(closure).mean() < np.square(samples[spans[6]]).mean() / 100


def test_resamples(cache):
    fast, slow = Spoken("val", cache, **SIZE)[0].source, Spoken("val", cache, sample_rate=8000, **SIZE)[0].source
    assert len(slow) == -(-len(fast) // 2)


def test_another_build_is_the_same(cache, tmp_path):
    folder = corpus.prepare(tmp_path, RECIPE, "val")
    assert (folder / corpus.CHECKSUMS).read_text() == (cache / RECIPE.name / corpus.CHECKSUMS).read_text()


def test_another_seed_is_another_corpus(cache):
    assert corpus.Recipe(4, 3, 2, seed=1).name != RECIPE.name
    assert corpus.Recipe(4, 3, 2, seed=1).texts() != RECIPE.texts()


def test_checksums_are_those_of_sha256sum(cache):
    folder = cache / RECIPE.name
    listed = dict(reversed(line.split("  ")) for line in (folder / corpus.CHECKSUMS).read_text().splitlines())
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {corpus.CHECKSUMS}
    assert set(listed) == files
    assert all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest for name, digest in listed.items())


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "flipped bit": lambda folder: flip(folder / "val" / "00001.flac"),
    "missing recording": lambda folder: (folder / "val" / "00001.flac").unlink(),
    "cut listing": lambda folder: (folder / "val.jsonl").write_text((folder / "val.jsonl").read_text()[:-300]),
    "changed word": lambda folder: flip(folder / "val.jsonl"),
    "no checksums": lambda folder: (folder / corpus.CHECKSUMS).unlink(),
    "cut checksums": lambda folder: (folder / corpus.CHECKSUMS).write_text("00"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_without_the_synthesiser_is_an_error(copy, monkeypatch, damage):
    DAMAGES[damage](copy / RECIPE.name)
    monkeypatch.setattr(corpus, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r'data\.cache_dir: .*pip install "espeakng-loader"'):
        Spoken("val", copy, **SIZE)


def test_damage_is_repaired(copy, capsys):
    folder = copy / RECIPE.name
    before = (folder / corpus.CHECKSUMS).read_text()
    flip(folder / "val" / "00001.flac")
    (copy / f"{RECIPE.name}.building-killed" / "fresh").mkdir(parents=True)
    assert len(Spoken("train", copy, **SIZE)) == 4  # an untouched split is not concerned
    assert corpus.find_damage(folder, "val")
    assert len(Spoken("val", copy, **SIZE)) == 3
    assert "00001.flac' differs from its checksum: building it" in capsys.readouterr().err
    assert (folder / corpus.CHECKSUMS).read_text() == before
    assert sorted(path.name for path in copy.iterdir()) == [RECIPE.name, f"{RECIPE.name}.lock"]


def test_whole_corpus_needs_neither_synthesiser_nor_lock(copy, monkeypatch, no_build):
    (copy / f"{RECIPE.name}.lock").unlink()
    monkeypatch.setattr(corpus, "find_spec", lambda name: None)
    assert len(Spoken("val", copy, **SIZE)) == 3
    assert not (copy / f"{RECIPE.name}.lock").exists()


def fake_build(recipe: corpus.Recipe, folder: Path) -> None:
    lines = []
    for split in corpus.SPLITS:
        (folder / f"{split}.jsonl").write_text("")
        lines.append(f"{hashlib.sha256(b'').hexdigest()}  {split}.jsonl\n")
    (folder / corpus.CHECKSUMS).write_text("".join(lines))


def test_two_at_once_build_once(tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader")
    built = []
    monkeypatch.setattr(corpus, "build", lambda recipe, folder: (built.append(folder), fake_build(recipe, folder)))
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda split: corpus.prepare(tmp_path, RECIPE, split), ("train", "val", "test", "val")))
    assert set(folders) == {tmp_path / RECIPE.name}
    assert len(built) == 1


def test_interrupted_build_leaves_nothing(tmp_path, monkeypatch):
    pytest.importorskip("espeakng_loader")

    def interrupt(voice, lines):
        raise KeyboardInterrupt

    monkeypatch.setattr(espeak, "speak", interrupt)
    with pytest.raises(KeyboardInterrupt):
        corpus.prepare(tmp_path, RECIPE, "train")
    assert [path.name for path in tmp_path.iterdir()] in ([], [f"{RECIPE.name}.lock"])


def test_utterance_whose_words_are_not_found_is_left_out(tmp_path, monkeypatch, capsys):
    def speak(voice, lines):
        speech = espeak.Speech(np.full(22050, 1000, dtype=np.int16), [(0.1, 0.9)])
        return [None if voice == corpus.VOICES["train"][1] else speech for _ in lines]

    monkeypatch.setattr(espeak, "speak", speak)
    corpus.build(RECIPE, tmp_path)
    entries = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [entry["file"] for entry in entries] == ["train/00000.flac", "train/00002.flac", "train/00003.flac"]
    assert "1 utterances left out" in capsys.readouterr().err
    assert corpus.find_damage(tmp_path, "train") is None


def test_folder_that_cannot_be_made(tmp_path):
    pytest.importorskip("espeakng_loader")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"data\.cache_dir: the corpus cannot be built in"):
        Spoken("val", tmp_path / "file", **SIZE)
