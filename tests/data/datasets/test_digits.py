from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest
import soundfile
import torch

from multimodal_attn.data.datasets.digits import WORDS, ConnectedDigits

SPEAKERS = ("anna", "nicolas", "theo", "zoe")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Recordings that are constant: the level tells digit, speaker and index."""
    folder = tmp_path_factory.mktemp("digits") / "recordings"
    folder.mkdir()
    for digit in range(10):
        for number, speaker in enumerate(SPEAKERS):
            for index in (0, 4, 5, 9, 10, 11):
                level = (1000 * (digit + 1) + 100 * number + index) / 2**15
                soundfile.write(folder / f"{digit}_{speaker}_{index}.wav", np.full(400 + 10 * digit, level), 8000)
    return folder.parent


def decode(level: float) -> tuple[int, int, int]:
    """Digit, speaker and index of a sample."""
    value = round(level * 2**15)
    return value // 1000 - 1, value // 100 % 10, value % 100


def parts(example, rate: int):
    """Digit, speaker and index in the middle of each span."""
    return [
        decode(float(example.source[round((span.start + span.end) / 2 * rate)])) for span in example.targets[0].times
    ]


@pytest.mark.parametrize("rate", [8000, 16000])
def test_spans_are_the_recordings(root, rate):
    dataset = ConnectedDigits("val", root, sample_rate=rate, num_examples=20)
    assert len(dataset) == 20
    for index in range(20):
        example = dataset[index]
        (target,) = example.targets
        found = parts(example, rate)
        assert [WORDS[digit] for digit, _, _ in found] == target.text.split()
        assert 3 <= len(found) <= 7
        assert len({speaker for _, speaker, _ in found}) == 1
        assert {number for _, _, number in found} <= {5, 9}
        assert target.text == dataset.texts()[index]
        assert len(example.source) / rate == pytest.approx(dataset.lengths()[index], abs=1e-9)
        edges = [0.0, *(edge for span in target.times for edge in span), len(example.source) / rate]
        for before, after in zip(edges[::2], edges[1::2], strict=True):
            assert 0.049 <= after - before <= 0.251
            assert not example.source[round(before * rate) : round(after * rate)].any()


def test_protocols_keep_splits_apart(root):
    heard = {}
    for protocol in ("index", "speaker"):
        for split in ("train", "val", "test"):
            dataset = ConnectedDigits(split, root, sample_rate=8000, num_examples=60, protocol=protocol)
            found = [part for index in range(60) for part in parts(dataset[index], 8000)]
            heard[protocol, split] = {SPEAKERS[s] for _, s, _ in found}, {index for _, _, index in found}
    assert heard == {
        ("index", "train"): (set(SPEAKERS), {10, 11}),
        ("index", "val"): (set(SPEAKERS), {5, 9}),
        ("index", "test"): (set(SPEAKERS), {0, 4}),
        ("speaker", "train"): ({"anna", "zoe"}, {5, 9, 10, 11}),
        ("speaker", "val"): ({"nicolas", "theo"}, {5, 9, 10, 11}),
        ("speaker", "test"): ({"nicolas", "theo"}, {0, 4}),
    }


def test_depends_on_seed_split_and_index_only(root):
    one = ConnectedDigits("train", root, num_examples=8, seed=3)
    more = pickle.loads(pickle.dumps(ConnectedDigits("train", root, num_examples=20, seed=3)))
    assert one.texts() == more.texts()[:8]
    assert torch.equal(one[5].source, more[5].source)
    assert one.texts() != ConnectedDigits("train", root, num_examples=8, seed=4).texts()
    assert one.texts() != ConnectedDigits("val", root, num_examples=8, seed=3).texts()


def test_lists_what_it_leaves_out(root, tmp_path):
    root = shutil.copytree(root, tmp_path / "copy")
    (root / "recordings" / "7_anna_10.wav").write_bytes(b"")
    soundfile.write(root / "recordings" / "8_anna_10.wav", np.zeros(1), 8000)
    soundfile.write(root / "recordings" / "eight.wav", np.zeros(1000), 8000)
    skipped = ConnectedDigits("train", root, num_examples=3).skipped
    assert sorted(error.path.split("/")[-1] for error in skipped) == ["7_anna_10.wav", "8_anna_10.wav", "eight.wav"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_digits": 5, "max_digits": 4}, r"data\.min_digits: 5"),
        ({"gap_seconds": (0.3, 0.1)}, r"data\.gap_seconds"),
        ({"protocol": "speaker", "held_out": ["nobody"]}, r"no usable recording for split=val.*nobody"),
    ],
)
def test_refuses(root, arguments, message):
    with pytest.raises(ValueError, match=message):
        ConnectedDigits(**{"split": "val", "root": root, **arguments})


def test_missing_folder(tmp_path):
    with pytest.raises(ValueError, match=r"data\.root: .* has no recordings/; expected recordings/DIGIT_SPEAKER_INDEX"):
        ConnectedDigits("val", tmp_path)
