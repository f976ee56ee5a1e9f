"""What the command line may say in short, and what it may not say at all."""

from __future__ import annotations

from typing import Any

import pytest

from multimodal_attn.runs.configuration import (
    CONF,
    compose,
    in_full,
    leaves,
    likely,
    plain,
    refuse_unknown,
    select,
    update,
    wrong_kind,
)
from multimodal_attn.runs.train import SECTIONS

CONFIG: dict[str, Any] = {"optimizer": {"lr": 1e-3}, "data": {"root": "x", "batch_size": 3}, "seed": 0}


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("attention=dot", ["attention=dot"]),
        ("attention=mypkg.att.Cosine", ["~attention", "++attention._target_=mypkg.att.Cosine"]),
        ("encoder=mypkg.Tiny", ["~encoder", "++encoder._target_=mypkg.Tiny"]),
        ("attention._target_=mypkg.Cosine", ["attention._target_=mypkg.Cosine"]),
        ("decoder.dropout=0.5", ["decoder.dropout=0.5"]),
        ("trainer.max_steps=1e3", ["trainer.max_steps=1e3"]),
        ("data.root=a.b", ["data.root=a.b"]),
        ("data=shapes", ["data=shapes"]),
        ("objective=[cross_entropy,ctc]", ["objective=[cross_entropy,ctc]"]),
        (
            "objective=[cross_entropy, mypkg.objectives.SharpMaps]",
            ["objective=[cross_entropy]", "++objective.sharp_maps._target_=mypkg.objectives.SharpMaps"],
        ),
        ("-m", ["-m"]),
    ],
)
def test_a_class_may_stand_where_a_yaml_is_chosen(short: str, full: list[str]) -> None:
    assert in_full([short]) == full


@pytest.mark.parametrize(
    "name", ["an 'odd' folder/a.csv", "it's.csv", "photos (1).csv", "split=1.csv", "a&b.csv", "~/größe.csv", 'a"b.csv']
)
def test_names_of_files_need_no_quotation_marks(name: str) -> None:
    config = compose("train", ["experiment=captions", f"data.train={name}"])
    assert config.data.train == name


def test_an_evaluation_takes_settings_of_the_data_without_a_plus() -> None:
    found = in_full(["data.root=x", "+data.y=1", "split=val"], "evaluate")
    assert found == ["++data.root=x", "+data.y=1", "split=val"]


def test_a_search_that_is_chosen_brings_its_own_rules() -> None:
    assert in_full(["search=greedy"], "evaluate") == ["search_rules=search", "search=greedy"]
    assert in_full(["search=greedy", "search_rules=run"], "evaluate") == ["search=greedy", "search_rules=run"]
    assert in_full(["search.width=9"], "evaluate") == ["search.width=9"]
    assert in_full(["search=greedy"], "train") == ["search=greedy"]


def test_a_class_of_the_users_own_takes_what_an_experiment_sets() -> None:
    config = plain(compose("train", ["experiment=show_attend_tell_flickr8k", "attention=mypkg.Own", "data.root=x"]))
    assert config["attention"] == {"_target_": "mypkg.Own", "attention_dim": 256}


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("+lr=0.001", "optimizer.lr"),
        ("+batch_size=8", "data.batch_size"),
        ("+hidden_dim=8", "decoder.hidden_dim"),
        ("+objectve=3", "objective"),
        ("+max_epochs=3", "trainer.max_epochs"),
    ],
)
def test_a_section_that_does_not_exist_is_refused_with_the_likely_one(override: str, meant: str) -> None:
    config = plain(compose("train", [override]))
    with pytest.raises(ValueError, match=rf"there is no such setting; did you mean {meant}"):
        refuse_unknown(config, SECTIONS)


def test_what_resembles_nothing_has_no_likely_key() -> None:
    assert likely("xyzzy", CONFIG) == ""


def test_every_section_of_a_run_is_known() -> None:
    refuse_unknown(plain(compose("train", [])), SECTIONS)
    refuse_unknown(plain(compose("train", ["experiment=language_model", "data.train=x", "data.val=x"])), SECTIONS)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["data=flickr8k"], r"data\.root"),
        (["seed=${nowhere}"], "nowhere"),
        (["attention=nothing"], "attention"),
        (["data.batch_sizes=3"], "batch_sizes"),
    ],
)
def test_what_hydra_refuses_is_told_in_a_line(overrides: list[str], expected: str) -> None:
    with pytest.raises(ValueError, match=expected) as error:
        plain(compose("train", overrides))
    assert "\n" not in str(error.value)


def test_keys_with_dots_reach_into_a_configuration() -> None:
    config = {"a": {"b": 1}, "c": 2}
    assert dict(leaves(config)) == {"a.b": 1, "c": 2}
    assert select(config, "a.b") == 1
    for key in ("a.x", "c.d", "x"):
        with pytest.raises(KeyError):
            select(config, key)
    update(config, "a.b", 3)
    update(config, "d.e", 4)
    assert dict(leaves(config)) == {"a.b": 3, "c": 2, "d.e": 4}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("experiment=captoins", r"^experiment=captoins: there is no such choice; did you mean captions\?$"),
        ("decoder=zzz", r"^decoder=zzz: there is no such choice; expected one of adaptive, .*transformer$"),
        ("objective=[ctx]", r"^objective=ctx: there is no such choice; did you mean ctc\?$"),
        ("data.train=x.csv", r"expected with data=manifest.*, as in experiment=captions.* transcripts, \.\.\.$"),
        ("optimizer.lrr=3", r"^optimizer.lrr: there is no such setting; did you mean optimizer.lr\?$"),
        ("trainer.max_epoch=3", r"^trainer.max_epoch: there is no such setting; did you mean trainer.max_epochs\?$"),
        (
            "trainer.barebones=true",
            r"^trainer.barebones: there is no such setting; .* a plus: \+trainer.barebones=true$",
        ),
        ("data.mine=3", r"^data.mine: there is no such setting; .* a plus: \+data.mine=3$"),
        ("mine=3", r"^mine: there is no such setting$"),
        ("lr=3", r"^lr: there is no such setting; did you mean optimizer.lr\?$"),
        ("decoder", r"^decoder: is no override \(missing EQUAL at '<EOF>'\); expected KEY=VALUE$"),
        ("decoder.hidden_dim=[1,2", r"^command line: .*; expected KEY=VALUE, as --help shows$|is no override"),
        ("=3", r"override must be a string or a list"),
        ("~decoder.hidden=3", r"^decoder.hidden: there is no such setting; did you mean decoder.hidden_dim\?$"),
        ("~nothing", r"expected KEY=VALUE|^nothing: there is no such setting"),
        ("a.b.c=1", r"^a.b.c: there is no such setting$"),
    ],
)
def test_an_override_that_hydra_refuses_is_told_in_a_sentence(overrides: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        compose("train", overrides.split(" "))
    assert "\n" not in str(error.value)
    assert "hydra.cc" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "experiment"), [("recording", "transcripts"), ("picture", "captions"), ("text", "translation")]
)
def test_data_of_another_kind_name_the_experiment_for_them(given: str, experiment: str) -> None:
    assert (CONF / "experiment" / f"{experiment}.yaml").is_file()
    assert f"expected experiment={experiment}, or" in str(wrong_kind(given, "other"))
