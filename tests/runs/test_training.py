"""A tiny real training of each task through train.py's own code: it learns, by every objective, or says why not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from multimodal_attn.prediction.location import find_checkpoint
from multimodal_attn.runs.loading import load
from tests.inspection.page.test_page import read
from tests.runs.conftest import noisy
from tests.runs.tiny import SHAPES, SMALL, lines, run, values, weights_of


def test_speech_training_learns(speech_run: Path) -> None:
    errors = values(speech_run, "val/wer")
    assert len(errors) == 12
    assert min(errors) < 0.2
    assert {"train/cross_entropy", "train/ctc", "train/loss"} <= {key for line in lines(speech_run) for key in line}


def test_what_cannot_be_trained_on_is_listed(speech_run: Path) -> None:
    skipped = dict(line.split("\t") for line in (speech_run / "skipped.txt").read_text().splitlines())
    assert {Path(path).name for path in skipped} == {"train1.flac", "train2.flac"}
    assert skipped["train2.flac"].startswith("its text is too long for CTC (needs ")


def test_picture_training_learns(picture_run: Path) -> None:
    losses = values(picture_run, "val/loss")
    assert losses[-1] < losses[0]
    assert 0 <= values(picture_run, "val/pointing_accuracy")[-1] <= 1
    assert len(list((picture_run / "media" / "attention").rglob("*.png"))) == 4
    overview = read(picture_run / "attention.html").json("overview")
    shown = {figure["name"]: float(figure["value"].rstrip(" %")) for figure in overview["headline"]}
    assert shown["cider_d"] == pytest.approx(values(picture_run, "val/cider_d")[-1], abs=1e-3)


def test_hard_attention_and_boxes_learn_through_their_objectives(tmp_path: Path) -> None:
    objectives = "objective=[cross_entropy,hard_attention,box_supervision]"
    run(
        tmp_path / "run",
        *SHAPES,
        "attention=hard",
        "attention.estimator=reinforce",
        objectives,
        "objective.box_supervision.weight=1",
        "trainer.max_epochs=3",
    )
    supervised = values(tmp_path / "run", "val/box_supervision")
    assert supervised[-1] < supervised[0]
    baseline = weights_of(tmp_path / "run")["objectives.hard_attention.baseline"]
    assert -10 < float(baseline) < 0  # of a text's tokens, after training


def test_max_steps_ends_a_run_before_its_first_validation(tmp_path: Path) -> None:
    run(tmp_path / "run", *SHAPES, "trainer.max_steps=3")  # of eight in an epoch
    assert [file.name for file in (tmp_path / "run" / "checkpoints").iterdir()] == ["last.ckpt"]
    assert values(tmp_path / "run", "val/cider_d") == []


def test_what_ends_between_two_validations_is_saved(tmp_path: Path) -> None:
    by_steps = ["trainer.max_epochs=-1", "+trainer.check_val_every_n_epoch=null", "+trainer.val_check_interval=50"]
    run(tmp_path / "run", *SHAPES, *by_steps, "trainer.max_steps=3")
    assert torch.load(find_checkpoint(tmp_path / "run", "last"), weights_only=True)["global_step"] == 3
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_batch_that_does_not_fit_is_named_before_training(
    notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def forward(self, batch, sampling_probability=0.0):
        tried.append(len(batch))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr("multimodal_attn.models.seq2seq.Seq2Seq.forward", forward)
    with pytest.raises(ValueError, match=r"data.batch_seconds: 6; the largest batch \(\d+ recordings.*20.00 GiB"):
        run(tmp_path / "run", *noisy(notes))
    assert len(tried) == 1
    assert tried[0] > 3


def test_pictures_are_refused_by_an_encoder_of_speech(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the data are pictures, but the encoder takes recordings"):
        run(tmp_path / "run", *SHAPES[:3], "encoder=pyramid_lstm", "+data.sample_rate=16000")


def test_non_finite_steps_are_skipped_and_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from multimodal_attn.training.callbacks.non_finite import TrainingDivergedError
    from multimodal_attn.training.objectives.cross_entropy import CrossEntropy

    original = CrossEntropy.forward
    monkeypatch.setattr(CrossEntropy, "forward", lambda *arguments: original(*arguments) * torch.nan)
    folder = tmp_path / "run"
    with pytest.raises(TrainingDivergedError, match=r"lower\s+optimizer.lr"):
        run(folder, *SHAPES, "callbacks.non_finite.max_in_a_row=3")
    saved = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert all(tensor.isfinite().all() for tensor in saved["state_dict"].values())
    shutil.rmtree(folder)


def test_self_critical_run_starts_with_weights_and_tokenizer_of_another(picture_run: Path, tmp_path: Path) -> None:
    content = torch.load(find_checkpoint(picture_run), weights_only=True)
    folder = tmp_path / "fine"
    overrides = [f"init_from={picture_run}", "objective=self_critical", "data.texts_per_source=null", *SHAPES]
    # Another vocabulary, if it were built anew; so small a rate leaves the weights that the run started with.
    run(
        folder,
        *overrides,
        "tokenizer.max_size=9",
        "optimizer.lr=1e-30",
        "trainer.max_epochs=1",
        "trainer.log_every_n_steps=4",
    )
    restored = load(folder)
    assert restored.tokenizer.state()["words"] == content["hyper_parameters"]["tokenizer"]["words"]
    for name, tensor in restored.model.named_parameters():
        torch.testing.assert_close(tensor, content["state_dict"][f"model.{name}"], msg=name)
    assert len(values(folder, "train/self_critical")) > 0
    assert values(folder, "val/self_critical")[-1] <= 0
    assert torch.load(find_checkpoint(folder), weights_only=True)["epoch"] == 0
    run(folder, resume=folder)  # a resumed run does not start from the other one again


def test_objectives_mix(picture_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    run(
        folder,
        *SHAPES,
        "objective=[cross_entropy,self_critical]",
        "objective.self_critical.weight=0.3",
        "objective.self_critical.baseline=greedy",
        f"init_from={picture_run}",
        "trainer.max_epochs=1",
    )
    last = {name: values(folder, f"val/{name}")[-1] for name in ("loss", "cross_entropy", "self_critical")}
    assert last["loss"] == pytest.approx(last["cross_entropy"] + 0.3 * last["self_critical"], rel=1e-4)


def test_ctc_counts_in_its_first_epochs_only(notes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(
        folder,
        "experiment=listen_attend_spell_grid",
        "data=manifest",
        f"data.train={notes / 'val.csv'}",
        f"data.val={notes / 'val.csv'}",
        "encoder.hidden_dim=16",
        "trainer.precision=32-true",
        "objective=[cross_entropy,ctc]",
        "objective.ctc.epochs=1",
        "trainer.max_epochs=3",
        "trainer.log_every_n_steps=1",
        *SMALL,
    )
    for split in ("train", "val"):
        loss, by_text, by_ctc = (values(folder, f"{split}/{name}") for name in ("loss", "cross_entropy", "ctc"))
        assert len(loss) == 3
        assert min(by_ctc) > 0.1  # it is still computed
        assert loss == pytest.approx([by_text[0] + 0.3 * by_ctc[0], *by_text[1:]], rel=1e-4)


def test_init_from_names_what_does_not_fit(picture_run: Path, tmp_path: Path) -> None:
    start = [f"init_from={picture_run}", *SHAPES]
    with pytest.raises(ValueError, match=r"init_from: the run holds another model .*decoder.hidden_dim: 32, there 48"):
        run(tmp_path / "a", *start, "decoder.hidden_dim=32")
    with pytest.raises(ValueError, match=r"init_from brings a WordTokenizer; .*not CharacterTokenizer"):
        run(tmp_path / "b", *start, "tokenizer=character")
    with pytest.raises(ValueError, match="objective: self_critical alone cannot teach"):
        run(tmp_path / "c", *SHAPES, "objective=self_critical")


def test_minimum_word_error_fine_tunes_a_run_of_speech(
    speech_run: Path, notes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    config = torch.load(find_checkpoint(speech_run), weights_only=True)["hyper_parameters"]["config"]
    assert config["init_from"] is None
    folder = tmp_path / "fine"
    run(
        folder,
        "experiment=listen_attend_spell_grid",
        "data=manifest",
        f"data.train={notes / 'train.csv'}",
        f"data.val={notes / 'val.csv'}",
        "data.batch_size=8",
        "encoder=pyramid_lstm",
        "encoder.hidden_dim=32",
        "trainer.precision=32-true",
        "encoder.front_end.num_mels=24",
        "tokenizer=word",
        "objective=minimum_word_error",  # without the CTC head that the first run had
        "objective.minimum_word_error.max_length=6",
        f"init_from={speech_run}",
        "trainer.max_epochs=1",
        "trainer.limit_train_batches=2",
        *SMALL,
    )
    (told,) = [each for each in caplog.messages if each.startswith("init_from: ")]
    left_out, *differing = told.split("; ")[1:]
    assert left_out == "left out of that run: ctc_head"
    assert differing[0] == "here encoder.front_end.num_mel_masks is 2, there 0"
    assert 0 <= values(folder, "val/minimum_word_error")[-1] < 0.5
    assert values(folder, "val/wer")[-1] < 0.5
