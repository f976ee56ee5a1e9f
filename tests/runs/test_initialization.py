"""What a run takes of another one, and what it says where the two do not go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from multimodal_attn.data.tokenizers.character import CharacterTokenizer
from multimodal_attn.prediction.checkpoint import Checkpoint
from multimodal_attn.runs.build import build_module
from multimodal_attn.runs.initialization import initialize, tell_unknown
from tests.runs.tiny import compose


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("data.sample_rate=16000", r"init_from: data.sample_rate is 16000; expected 8000, as that run has heard with"),
        ("encoder.front_end.cmvn=none", r"init_from: encoder.front_end.cmvn is none; expected running, as that run"),
    ],
)
def test_frames_that_the_other_run_has_not_heard_are_named(setting: str, expected: str) -> None:
    given = ("experiment=listen_attend_spell_grid", "data.root=x", "data.sample_rate=8000", "encoder.hidden_dim=8")
    config, other = compose("train", *given), compose("train", *given, setting)
    module = build_module(config, CharacterTokenizer().fit(["a b"]))
    content = Checkpoint(Path("best.ckpt"), config, {}, dict(module.state_dict()))
    initialize(module, compose("train", *given, "encoder.front_end.speeds=[]"), content)
    with pytest.raises(ValueError, match=expected):
        initialize(module, other, content)


def test_texts_that_the_other_runs_tokenizer_cannot_write_are_told(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = CharacterTokenizer().fit(["one two"])
    with caplog.at_level("INFO"):
        tell_unknown("tokenizer", tokenizer, ["two", "one"])
        assert not caplog.messages
        tell_unknown("tokenizer", tokenizer, ["two", "one tow", "nose"])
    (told,) = caplog.messages
    assert "lacks 7.1% of the training texts' tokens, in 1 of 3 texts, such as 'nose', which it knows as" in told
    assert "'no\ufffde'" in told
    with pytest.raises(ValueError, match=r"^tokenizer: .* lacks 72.7% .*; expected texts in the words or letters of"):
        tell_unknown("tokenizer", tokenizer, ["DREI", "tee", "ZWEI"])
