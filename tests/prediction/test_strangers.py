"""Checkpoints of strangers: what their authors might wish for, and that none of it happens.

Every attack starts from a good checkpoint and changes what its author controls. Python tells an audit hook of every
file that is opened to be written, every connection, and every program that is started, whatever the code that does it.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import wandb  # noqa: F401 - which makes folders when it is imported, as peft does
from PIL import Image

from multimodal_attn.__main__ import main
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.prediction.build import build_predictor
from multimodal_attn.runs.configuration import compose, plain
from multimodal_attn.runs.evaluations.evaluate import evaluate
from multimodal_attn.runs.language_model import load_writer, make_language_model
from multimodal_attn.runs.loading import load
from multimodal_attn.runs.resumption import resumed_settings

SECRET = "not-for-strangers"
EVENTS: list[str] = []
WATCHING = [False]
FORBIDDEN = (
    *("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "urllib.Request", "http.client.connect"),
    *("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "pty.spawn"),
    *("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink", "os.chmod"),
    *("shutil.rmtree", "shutil.move", "shutil.copyfile", "pickle.find_class"),
)


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if not WATCHING[0]:
        return
    if event == "open":
        path, _, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        if SECRET in str(path) or (writes and "__pycache__" not in str(path) and str(path) != os.devnull):
            EVENTS.append(f"open {path}")
    elif event in FORBIDDEN and not (event == "os.mkdir" and "__pycache__" in str(arguments)):
        EVENTS.append(f"{event} {arguments}")


sys.addaudithook(_listen)


@contextmanager
def nothing_happens() -> Iterator[None]:
    """Fails if anything is written, sent or started within."""
    EVENTS.clear()
    WATCHING[0] = True
    try:
        yield
    finally:
        WATCHING[0] = False
    assert not EVENTS


def test_the_watch_sees_what_it_should(tmp_path: Path) -> None:
    with pytest.raises(AssertionError), nothing_happens():
        (tmp_path / "x").write_text("")
    with pytest.raises(AssertionError), nothing_happens():
        os.system("true")
    with nothing_happens():
        Path(__file__).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def good() -> dict[str, Any]:
    """What torch.save writes of a small captioner that has learned nothing."""
    small = ["data.image_size=48", "encoder.channels=[4,4]", "encoder.strides=[4,2]", "encoder.dim=8"]
    config = plain(compose("train", [*small, "decoder.hidden_dim=16", "search.max_length=4", "cache_dir=x"]))
    torch.manual_seed(0)
    predictor = build_predictor(config, WordTokenizer().fit(["a red dog runs"]))
    weights = {f"model.{name}": tensor for name, tensor in predictor.model.state_dict().items()}
    return {"state_dict": weights, "hyper_parameters": {"config": config, "tokenizer": predictor.tokenizer.state()}}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.new("RGB", (50, 40), "red").save(path)
    return path


Attack = Callable[[dict[str, Any], dict[str, Any], Path], None]
ATTACKS: dict[str, Attack] = {}


def attack(function: Attack) -> Attack:
    ATTACKS[function.__name__.strip("_")] = function
    return function


def targets(*slots: str) -> Callable[[str, dict[str, Any]], None]:
    """Registers an attack on each slot with one target."""

    def register(target: str, settings: dict[str, Any]) -> None:
        for slot in slots:

            def change(content: dict[str, Any], config: dict[str, Any], folder: Path, slot: str = slot) -> None:
                node: Any = {"_target_": target, **{k: str(v).format(folder=folder) for k, v in settings.items()}}
                place, *path = slot.split(".")
                inner = config
                for name in (place, *path[:-1]) if path else ():
                    inner = inner.setdefault(name, {})
                inner[path[-1] if path else place] = node

            ATTACKS[f"{slot} is {target.rpartition('.')[2]}"] = change

    return register


PREDICTING = targets("encoder", "decoder", "attention", "tokenizer", "search")
PREDICTING("os.system", {"command": "touch {folder}/evil"})
PREDICTING("builtins.eval", {"source": "open('{folder}/evil', 'w')"})
PREDICTING("pathlib.Path.unlink", {})
PREDICTING("shutil.rmtree", {"path": "{folder}"})
PREDICTING("multimodal_attn.tracking.files.FileLogger", {"save_dir": "{folder}/evil"})
PREDICTING("pytorch_lightning.loggers.TensorBoardLogger", {"save_dir": "http://127.0.0.1:1/${{oc.env:HOME}}"})
PREDICTING("pytorch_lightning.loggers.WandbLogger", {"save_dir": "{folder}", "project": "x"})
PREDICTING("multimodal_attn.tracking.log_page", {"path": "{folder}/secret"})
PREDICTING("multimodal_attn.data.synthesis.corpus.build", {"folder": "{folder}"})
PREDICTING("multimodal_attn.prediction.checkpoint.save_weights", {"path": "{folder}/evil"})
PREDICTING("multimodal_attn.runs.train.train", {"run_dir": "{folder}/evil"})
PREDICTING("multimodal_attn.training.callbacks.save_on_exception.SaveOnException", {"path": "{folder}/evil"})
PREDICTING("torch.load", {"f": "{folder}/secret", "weights_only": "False"})
PREDICTING("subprocess.Popen", {"args": "touch {folder}/evil"})
PREDICTING("evil_package_of_a_stranger.Part", {})
_ENCODERS = "multimodal_attn.models.encoders"
ENCODER = targets("encoder")
ENCODER(f"{_ENCODERS}.onnx_pictures.OnnxPictures", {"file": "{folder}/not-for-strangers", "output": "x"})
ENCODER(f"{_ENCODERS}.ctranslate2_whisper.CTranslate2Whisper", {"folder": "{folder}/not-for-strangers"})
ENCODER(
    f"{_ENCODERS}.timm_pictures.TimmPictures", {"name": "local-dir:{folder}", "weights": "{folder}/not-for-strangers"}
)
ENCODER(f"{_ENCODERS}.timm_pictures.TimmPictures", {"name": "test_vit", "weights": "{folder}/not-for-strangers"})
ENCODER(f"{_ENCODERS}.hugging_face_pictures.HuggingFacePictures", {"name": "{folder}/not-for-strangers"})
ENCODER(f"{_ENCODERS}.hugging_face_speech.HuggingFaceSpeech", {"name": "{folder}/not-for-strangers"})
NESTED = targets("encoder.dim", "decoder.dropout", "attention.normalizer", "search.scorers.evil", "search.rules.evil")
NESTED("os.system", {"command": "touch {folder}/evil"})
NESTED("multimodal_attn.tracking.files.FileLogger", {"save_dir": "{folder}/evil"})
# What trains is not looked at when something is predicted.
TRAINING = targets("callbacks.evil", "logger.evil", "objective.evil", "optimizer", "scheduler", "metrics", "trainer")
TRAINING("os.system", {"command": "touch {folder}/evil"})
TRAINING("multimodal_attn.training.callbacks.save_on_exception.SaveOnException", {"path": "{folder}/evil"})


@attack
def names_lead_out_of_folders(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    config["name"] = "../../../evil"


@attack
def values_ask_for_the_environment(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    config["name"] = "${oc.env:SECRET_OF_THE_USER}"
    config["data"]["fit"] = "${oc.env:SECRET_OF_THE_USER}"


@attack
def interpolations_ask_for_files(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    config["search"]["max_length"] = "${hydra:runtime.cwd}"


@attack
def the_search_names_another_run(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    config["search"] |= {
        "_target_": "multimodal_attn.search.beam.BeamSearch",
        "language_model": str(folder / SECRET),
        "language_model_weight": 1.0,
    }


@attack
def a_stream_opens_a_file(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    node = {"_target_": f"{_ENCODERS}.onnx_pictures.OnnxPictures", "file": str(folder / SECRET), "output": "x"}
    node |= {"image_size": 48, "network": {"num_bytes": 7, "channels": 4, "rows": 2, "columns": 2}}
    config["encoder"] = {"_target_": f"{_ENCODERS}.streams.Streams", "streams": {"evil": node}}


@attack
def an_architecture_brings_code(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    config["encoder"] = {
        "_target_": f"{_ENCODERS}.hugging_face_pictures.HuggingFacePictures",
        "name": str(folder / SECRET),
        "image_size": 48,
        "architecture": {
            "model_type": "vit",
            "auto_map": {"AutoModel": "evil--evil.Model"},
            "attn_implementation": "evil/evil",
            "quantization_config": {"quant_method": "bitsandbytes"},
            "patch_size": 16,
        },
        "colors": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    }


@attack
def a_network_without_end(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    an_architecture_brings_code(content, config, folder)
    config["encoder"]["architecture"]["num_hidden_layers"] = 10**9


@attack
def a_layer_of_a_network_never_ends(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    an_architecture_brings_code(content, config, folder)
    config["encoder"]["architecture"]["use_kernels"] = True
    config["encoder"]["layers"] = [-1] * 10**6


@attack
def a_network_of_a_terabyte_is_carried(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    a_stream_opens_a_file(content, config, folder)
    (stream,) = config["encoder"]["streams"].values()
    stream["network"] |= {"num_bytes": 10**12, "rows": 10**9}
    config["encoder"] = {**stream, "dim": 8}


@attack
def a_stream_within_streams(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    a_stream_opens_a_file(content, config, folder)
    for _ in range(5):
        config["encoder"] = {"_target_": f"{_ENCODERS}.streams.Streams", "streams": {"deeper": config["encoder"]}}


@attack
def small_matrices_of_a_terabyte(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    node = {"name": "test_vit", "weights": "DEFAULT", "image_size": 48, "lora_rank": 10**11}
    config["encoder"] = {"_target_": f"{_ENCODERS}.timm_pictures.TimmPictures", **node}


@attack
def a_tokenizer_that_copies_has_no_room(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    config["tokenizer"] = {"_target_": "multimodal_attn.data.tokenizers.copying_word.CopyingWordTokenizer"}
    config["decoder"]["_target_"] = "multimodal_attn.models.decoders.pointer_generator.PointerGenerator"


@attack
def the_configuration_is_a_pit(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    inner: Any = "bottom"
    for _ in range(100):
        inner = [inner]
    config["data"]["root"] = inner


@attack
def the_configuration_holds_a_tensor(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    config["data"]["image_size"] = torch.ones(3)


@attack
def widths_of_a_terabyte(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    config["decoder"] |= {"hidden_dim": 500_000, "embedding_dim": 500_000}


@attack
def a_layer_for_every_star(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    config["encoder"]["channels"] = [4] * 100_000
    config["encoder"]["strides"] = [1] * 100_000


@attack
def pictures_of_a_terapixel(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    config["data"]["image_size"] = 4_000_000


@attack
def texts_without_end(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    config["search"]["max_length"] = 10**12


@attack
def the_tokenizer_is_no_state(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    content["hyper_parameters"]["tokenizer"] = {"words": {"a": 1}}


@attack
def the_tokenizer_has_markup_for_words(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    words = content["hyper_parameters"]["tokenizer"]["words"]
    content["hyper_parameters"]["tokenizer"]["words"] = [f"<script>{word}</script>" for word in words]


@attack
def a_torn_model_of_pieces(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    config["tokenizer"] = {"_target_": "multimodal_attn.data.tokenizers.sentencepiece.SentencePieceTokenizer"}
    content["hyper_parameters"]["tokenizer"] = {"model": "AAAA" * 1000, "vocab_size": 10, "model_type": "bpe"}


@attack
def weights_that_are_no_weights(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    content["state_dict"] = {name: "x" for name in content["state_dict"]}


@attack
def a_language_model_in_disguise(content: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    config["language_model"] = {"_target_": "os.system"}


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_happens_but_a_prediction_or_a_refusal(
    name: str, good: dict[str, Any], photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_USER", SECRET)
    (tmp_path / SECRET).write_text(SECRET)
    content = deepcopy(good)
    ATTACKS[name](content, content["hyper_parameters"]["config"], tmp_path)
    path = tmp_path / "stranger.ckpt"
    torch.save(content, path)
    with nothing_happens():
        answer = outcome(path, photo)
    assert "\n" not in answer
    assert SECRET not in answer.replace(str(tmp_path / SECRET), "")
    assert not list(tmp_path.glob("**/evil*"))


def outcome(path: Path, photo: Path) -> str:
    """What a stranger's checkpoint writes for a photo, with its name, or why it is refused."""
    try:
        captioner = load(path, width=2, device="cpu")
        if vars(captioner.reader)["image_size"] > 1000:
            return captioner.name
        return f"{captioner.name} {captioner(photo).text}"
    except ValueError as error:
        return str(error)


def test_there_are_many_attacks() -> None:
    assert len(ATTACKS) >= 25


def written(good: dict[str, Any], words: list[str], path: Path) -> Path:
    """A stranger's checkpoint with other words."""
    content = deepcopy(good)
    own = content["hyper_parameters"]["tokenizer"]["words"]
    content["hyper_parameters"]["tokenizer"]["words"] = [*words, *own[len(words) :]]
    torch.save(content, path)
    return path


def test_words_do_not_command_the_terminal(
    good: dict[str, Any], photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = ["\x1b]0;evil\x07", "\x1b[2Jb", "c\x9b31m", "\x00"]
    torn = tmp_path / "\x1b[32m\n.png"
    torn.write_bytes(b"no picture")
    path = written(good, evil, tmp_path / "stranger.ckpt")
    odd = tmp_path / "\x1b[31m\n.png"
    photo.rename(odd)
    assert main(["predict", str(path), str(odd), str(torn), str(tmp_path / "\x1bnowhere.png")]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert all(character.isprintable() or character in "\n\t" for character in out + err)


def test_a_language_model_of_a_terabyte_is_refused_before_it_is_built(tmp_path: Path) -> None:
    config = plain(compose("train", ["experiment=language_model", "data=dates", "run_dir=x", "cache_dir=x"]))
    tokenizer = WordTokenizer().fit(["a red dog runs"])
    config["tokenizer"] = {"_target_": "multimodal_attn.data.tokenizers.word.WordTokenizer"}
    model = make_language_model(config["language_model"], tokenizer, ())
    weights = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    content = {"state_dict": weights, "hyper_parameters": {"config": config, "tokenizer": tokenizer.state()}}
    path = tmp_path / "stranger.ckpt"
    torch.save(content, path)
    assert load_writer(path)("a", num_samples=1, max_length=3)
    widths = [key for key in config["language_model"] if key.endswith("_dim")]
    assert widths
    for key in (*widths, "nothing"):
        changed = deepcopy(content)
        changed["hyper_parameters"]["config"]["language_model"][key] = 10**6
        if key == "nothing":
            name = next(iter(weights))
            changed["state_dict"][name] = torch.full_like(weights[name], torch.nan)
        torch.save(changed, path)
        with nothing_happens(), pytest.raises(ValueError, match=r"stranger\.ckpt: "):
            load_writer(path)


class Bomb:
    """Runs a command where it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def test_pickles_never_run(good: dict[str, Any], tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    for place in ("state_dict", "hyper_parameters", "callbacks"):
        torch.save({**good, place: Bomb(f"touch {evil}")}, tmp_path / "bomb.ckpt")
        with nothing_happens(), pytest.raises(ValueError, match=r"bomb\.ckpt is not a readable checkpoint"):
            load(tmp_path / "bomb.ckpt")
    (tmp_path / "plain.ckpt").write_bytes(pickle.dumps(Bomb(f"touch {evil}")))
    with nothing_happens(), pytest.raises(ValueError, match=r"plain\.ckpt is not a readable checkpoint"):
        load(tmp_path / "plain.ckpt")
    assert not evil.exists()


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {},
        {"multimodal_attn": "no json"},
        {"multimodal_attn": "[" * 100_000},
        {"multimodal_attn": "null"},
        {"multimodal_attn": json.dumps({"config": [], "tokenizer": {}})},
        {"multimodal_attn": json.dumps({"config": {"encoder": 3}, "tokenizer": {"words": []}})},
    ],
)
def test_odd_safetensors_are_named(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    safetensors.torch.save_file({"model.x": torch.zeros(1)}, path, metadata)
    with nothing_happens(), pytest.raises(ValueError, match=r"odd\.safetensors"):
        load(path)


def test_a_stranger_that_is_evaluated_builds_data_sets_only(
    good: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, target in (
        ("data", "multimodal_attn.tracking.files.FileLogger"),
        ("data", "os.system"),
        ("metrics", "multimodal_attn.tracking.files.FileLogger"),
        ("metrics", "os.system"),
    ):
        content = deepcopy(good)
        config = content["hyper_parameters"]["config"]
        config[key] = {**config[key], "_target_": target}
        torch.save(content, tmp_path / "stranger.ckpt")
        settings = plain(compose("evaluate", [f"run={tmp_path / 'stranger.ckpt'}", "device=cpu"]))
        with nothing_happens(), pytest.raises(ValueError, match=key):
            evaluate(settings)


def test_resuming_takes_nothing_that_acts_from_a_checkpoint(
    good: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Callbacks, loggers, trainer and paths are those of whoever resumes; values stay as they are written."""
    monkeypatch.setenv("SECRET_OF_THE_USER", SECRET)
    content = deepcopy(good)
    config = content["hyper_parameters"]["config"]
    config["callbacks"]["evil"] = {"_target_": "os.system", "command": f"touch {tmp_path}/evil"}
    config["callbacks"]["interrupted"]["path"] = str(tmp_path / "evil")
    config["callbacks"]["best_checkpoint"] |= {"dirpath": str(tmp_path / "evil"), "save_top_k": 7}
    config["callbacks"]["early_stopping"]["patience"] = 3
    config["logger"] = {"evil": {"_target_": "pytorch_lightning.loggers.WandbLogger", "base_url": "http://127.0.0.1:1"}}
    config["trainer"] |= {"default_root_dir": str(tmp_path / "evil"), "profiler": "pytorch", "max_epochs": 77}
    config["trainer"]["callbacks"] = [{"_target_": "os.system"}]
    config["choices"] = {
        "experiment": "../../../evil",
        "callbacks": ["default"],
        "../evil": "x",
        "logger": "${oc.env:X}",
    }
    config["monitor"] = {"name": "${oc.env:SECRET_OF_THE_USER}", "mode": "max"}
    config["name"] = "${oc.env:SECRET_OF_THE_USER}"
    config["run_dir"] = config["cache_dir"] = config["data"]["cache_dir"] = str(tmp_path / "evil")
    path = tmp_path / "stranger.ckpt"
    torch.save(content, path)
    given = plain(
        compose("train", [f"resume={path}", f"run_dir={tmp_path / 'run'}", f"cache_dir={tmp_path / 'cache'}"])
    )
    with nothing_happens():
        settings = resumed_settings(given, [f"resume={path}"])
    text = json.dumps(settings)
    assert SECRET not in text
    assert f"{tmp_path}/evil" not in text
    for section in ("callbacks", "logger", "trainer"):
        assert "os.system" not in json.dumps(settings[section])
        assert "evil" not in json.dumps(settings[section])
    assert "profiler" not in settings["trainer"]
    assert set(settings["logger"]) == {"files"}
    # Numbers are harmless, and are what the run was trained with.
    assert settings["trainer"]["max_epochs"] == 77
    assert settings["callbacks"]["early_stopping"]["patience"] == 3
    assert settings["data"]["cache_dir"] == str(tmp_path / "cache")
    assert settings["name"] == "${oc.env:SECRET_OF_THE_USER}"  # as it is written
