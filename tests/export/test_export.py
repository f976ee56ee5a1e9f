"""The command, and exported folders where a run is expected."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from multimodal_attn import load
from multimodal_attn.__main__ import main
from multimodal_attn.commands import export as command
from multimodal_attn.data.modalities import READERS, reader_of
from multimodal_attn.runtime import Runtime
from multimodal_attn.types import BOS, Example, Modality
from tests.export.folders import SPEECH, untrained_run
from tests.runtime.test_runtime import sources

Folders = tuple[Path, Path]


def test_a_folder_is_loaded_as_its_run_is(exported: Folders) -> None:
    run, folder = exported
    predictor, same = load(run, 3), load(folder, 3)
    given = sources(folder, 4)
    for found, expected in zip(same(given, 8000), predictor(given, 8000), strict=True):
        assert [one.text for one in (found, *found.others)] == [one.text for one in (expected, *expected.others)]
        np.testing.assert_allclose(found.weights, expected.weights, atol=1e-5)
        np.testing.assert_allclose(np.array(found.word_spans), np.array(expected.word_spans), atol=1e-4)
        assert found.plot() is not None
    assert (same.name, same.suffixes, same.max_seconds) == (predictor.name, predictor.suffixes, predictor.max_seconds)
    together, alone = load(run, 3, [folder])(given[0], 8000), predictor(given[0], 8000)  # the same model twice
    assert together.text == alone.text


@torch.no_grad()
def test_log_probabilities_and_weights_are_those_of_torch(exported: Folders) -> None:
    predictors = [load(path, device="cpu") for path in exported]
    keys = [Example(str(key), torch.tensor(one)) for key, one in enumerate(sources(exported[1], 3))]
    if keys[0].modality == "picture":
        keys = [Example(each.key, each.source[:32, :32].permute(2, 0, 1)) for each in keys]  # type: ignore[index]
    memories = [predictor.model.encode(predictor.collate(keys)) for predictor in predictors]
    torch.testing.assert_close(memories[1].mask, memories[0].mask)
    torch.testing.assert_close(memories[1].states, memories[0].states, rtol=0, atol=1e-4)
    decoders = [predictor.model.decoder for predictor in predictors]
    prepared = [decoder.prepare(memories[0]) for decoder in decoders]
    states = [decoder.start(source, 4) for decoder, source in zip(decoders, prepared, strict=True)]
    tokens = torch.full((3, 4), BOS)
    for _ in range(4):
        steps = [
            decoder.step(tokens, state, source)
            for decoder, state, source in zip(decoders, states, prepared, strict=True)
        ]
        log_probs = [logits.log_softmax(-1) for logits, _, _ in steps]
        torch.testing.assert_close(log_probs[1], log_probs[0], rtol=0, atol=1e-4)
        torch.testing.assert_close(steps[1][2].weights, steps[0][2].weights, rtol=0, atol=1e-5)
        order = torch.randint(4, (3, 4))
        states = [state.select(order) for _, state, _ in steps]
        tokens = torch.randint(4, log_probs[0].shape[-1], (3, 4))


def test_the_commands_take_a_folder(exported: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, folder = exported
    source = sources(folder, 1)[0]
    if source.ndim == 3:
        Image.fromarray(source).save(tmp_path / "a.png")
        assert (
            main(["predict", str(folder), str(tmp_path / "a.png"), "--page", "--page-path", str(tmp_path / "p")]) == 0
        )
        assert Runtime(folder)(tmp_path / "a.png").text in capsys.readouterr().out
        assert (tmp_path / "p").is_file()
    else:
        soundfile.write(tmp_path / "a.wav", source, 8000)
        main(["transcribe", str(folder), str(tmp_path / "a.wav"), "--format", "json"])
        printed = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert printed["text"].split() == Runtime(folder)(tmp_path / "a.wav").text.split()


def test_the_readme_and_the_description_say_what_it_is(exported: Folders) -> None:
    _, folder = exported
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "begin.onnx",
        "encode.onnx",
        "model.json",
        "step.onnx",
    ]
    readme, content = (folder / "README.md").read_text(), json.loads((folder / "model.json").read_text())
    assert "CC0-1.0" in readme
    assert content["license"] == "CC0-1.0"
    assert content["provenance"]["checkpoint_sha256"] in readme
    code = readme.partition("```python\n")[2].partition("```")[0]
    compile(code, "README.md", "exec")
    assert content["search"]["max_length"] == 12


def test_weights_alone_are_a_run_without_what_trains(exported: Folders, tmp_path: Path) -> None:
    run, folder = exported
    assert main(["export", str(run), str(tmp_path / "weights"), "--weights"]) == 0
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["model.safetensors"]
    source = sources(folder, 1)[0]
    assert load(tmp_path / "weights")(source, 8000).text == load(run)(source, 8000).text


def test_a_run_that_is_none_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(tmp_path), str(tmp_path / "out")]) != 0
    assert "no checkpoints/best.ckpt" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_stays_behind_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "write_folder", lambda folder, *others: folder.mkdir())
    run = untrained_run(tmp_path / "ctc.ckpt", *SPEECH, "objective=[cross_entropy,ctc]")
    assert main(["export", str(run), str(tmp_path / "ctc")]) == 0
    assert capsys.readouterr().err.startswith("not exported: the CTC head; ")
    run = untrained_run(tmp_path / "plain.ckpt", *SPEECH)
    assert main(["export", str(run), str(tmp_path / "plain")]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("modality", READERS)
def test_settings_of_every_reader_can_be_written(modality: Modality) -> None:
    reader = READERS[modality]()
    assert reader_of(modality, json.loads(json.dumps(vars(reader)))).__dict__ == vars(reader)
