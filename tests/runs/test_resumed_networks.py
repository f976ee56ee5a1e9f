"""A run with a network that has learnt elsewhere goes on from its checkpoint alone, wherever the network's file is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from multimodal_attn.data.loading.feature_cache import FeatureCache
from multimodal_attn.runs.loading import load
from tests.contracts.tiny import onnx_file
from tests.runs.tiny import SMALL, run

SHAPES = ["data.num_examples={train:16,val:4,test:4}", "data.image_size=64", "data.batch_size=8", "scheduler=constant"]


@pytest.mark.parametrize("trains", [False, True])
def test_goes_on_without_the_file_of_the_network(
    tmp_path: Path, trains: bool, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    file, weights = tmp_path / "network.onnx", tmp_path / "weights.pt"
    shutil.copy(onnx_file(), file)
    choice = ["encoder=onnx", f"encoder.file={file}", "encoder.output=map", "encoder.dim=24"]
    if trains:
        timm = pytest.importorskip("timm")
        torch.save(timm.create_model("test_vit", num_classes=0, img_size=64).state_dict(), weights)
        streams = ["encoder@encoder.streams.what=timm", "encoder@encoder.streams.where=onnx"]
        settings = {
            "what": {"name": "test_vit", "weights": weights, "trainable_from": -1, "dim": "null"},
            "where": {"file": file, "output": "map", "dim": "null"},
        }
        given = [f"encoder.streams.{name}.{key}={v}" for name, of in settings.items() for key, v in of.items()]
        choice = ["encoder=streams", *streams, *given, "encoder.dim=24"]
    folder, cached = tmp_path / "run", tmp_path / "cache"
    with caplog.at_level("INFO"):
        run(folder, *SHAPES, *SMALL, *choice, "trainer.max_epochs=1")
    assert caplog.text.count("the weights of test_vit are under the license") == int(trains)  # as often as it is loaded
    assert not [warning for warning in recwarn if "eval mode" in str(warning.message)]  # a frozen one is so on purpose
    networks = sorted(path.name for path in cached.rglob("*") if path.is_dir())
    file.unlink()
    weights.unlink(missing_ok=True)
    before = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    run(folder, "trainer.max_epochs=2", resume=folder)
    after = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert after["global_step"] == 2 * before["global_step"]
    rates = [[group["initial_lr"] for group in one["optimizer_states"][0]["param_groups"]] for one in (before, after)]
    assert rates[0] == rates[1]
    assert len(set(rates[0])) == (2 if trains else 1)  # the network learns more slowly than what comes behind it
    encoders = [content["hyper_parameters"]["config"]["encoder"] for content in (before, after)]
    assert encoders[0] == encoders[1]
    assert sorted(path.name for path in cached.rglob("*") if path.is_dir()) == networks


def test_a_cache_holds_what_the_encoder_of_another_run_has_learnt(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.save(timm.create_model("test_vit", num_classes=0, img_size=64).state_dict(), tmp_path / "weights.pt")
    network = ["encoder=timm", "encoder.name=test_vit", f"encoder.weights={tmp_path / 'weights.pt'}", "encoder.dim=24"]
    given = [*SHAPES, *SMALL, *network, "trainer.max_epochs=1"]
    run(tmp_path / "first", *given, "encoder.trainable_from=-1", "optimizer.lr=0.1")
    run(tmp_path / "second", *given, f"init_from={tmp_path / 'first'}")
    learnt = load(tmp_path / "second").model.encoder.cache_fingerprint()
    assert learnt is not None
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [FeatureCache("", learnt).folder.name]
