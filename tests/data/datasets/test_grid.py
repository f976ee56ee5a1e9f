from __future__ import annotations

import pickle

import numpy as np
import pytest
import soundfile

from multimodal_attn.data.datasets.grid import GridCorpus
from multimodal_attn.types import Span

ALIGNMENT = "0 6250 sil\n6250 12500 bin\n12500 13000 sp\n13000 15000 Blue\n15000 25000 sil\n"


@pytest.fixture
def root(tmp_path):
    """Two speakers, one second each utterance; silence but for the first word."""
    (tmp_path / "align").mkdir()
    for speaker, key, suffix in (("s1", "bbaf3s", "flac"), ("s2", "lwbs9a", "wav")):
        (tmp_path / speaker).mkdir()
        samples = np.zeros(25000)
        samples[6250:12500] = 0.5
        soundfile.write(tmp_path / speaker / f"{key}.{suffix}", samples, 25000)
        (tmp_path / "align" / f"{key}.align").write_text(ALIGNMENT)
    (tmp_path / "train.txt").write_text("bbaf3s\nlwbs9a\n")
    return tmp_path


def test_reads_words_and_times(root):
    dataset = pickle.loads(pickle.dumps(GridCorpus("train", root)))
    assert len(dataset) == 2
    assert not dataset.skipped
    assert dataset.texts() == ["bin blue"] * 2
    assert dataset.lengths() == [1.0, 1.0]
    for index, key in enumerate(("bbaf3s", "lwbs9a")):
        example = dataset[index]
        assert example.key == key
        assert example.source.shape == (16000,)
        (target,) = example.targets
        assert target.text == "bin blue"
        assert target.times == (Span(0.25, 0.5), Span(0.52, 0.6))
        start, end = (round(edge * 16000) for edge in target.times[0])
        assert example.source[start + 200 : end - 200].min() > 0.45
        assert example.source[: start - 200].abs().max() < 0.05


@pytest.mark.parametrize("alignment", ["0 25000 sil\n", "", "0 bin\n", "x y bin\n", None])
def test_lists_what_it_leaves_out(root, alignment):
    path = root / "align" / "lwbs9a.align"
    path.unlink()
    if alignment is not None:
        path.write_text(alignment)
    (root / "train.txt").write_text("bbaf3s\nlwbs9a\ngone\nempty\n")
    (root / "align" / "empty.align").write_text(ALIGNMENT)
    (root / "s1" / "empty.flac").touch()
    dataset = GridCorpus("train", root)
    assert dataset.texts() == ["bin blue"]
    assert [error.path.split("/")[-1] for error in dataset.skipped] == ["lwbs9a.align", "gone.flac", "empty.flac"]


def test_missing_split_or_folder(root):
    with pytest.raises(ValueError, match=r"data\.root: .* has no test\.txt; expected test\.txt \(utterance ids"):
        GridCorpus("test", root)
    with pytest.raises(ValueError, match=r"data\.root: .* has no train\.txt"):
        GridCorpus("train", root / "nowhere")
