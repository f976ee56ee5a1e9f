"""Starting a run with the weights of another, or an encoder of texts with those of a masked language model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytorch_lightning.utilities import rank_zero_info

from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.prediction.checkpoint import Checkpoint
from multimodal_attn.runs.configuration import leaves
from multimodal_attn.training.base import TrainingModule
from multimodal_attn.types import UNK

_FRONT_END = "model.encoder.front_end."
_PARTS = ("encoder", "attention", "decoder", "language_model")
_MOST_UNKNOWN = 0.5  # of the tokens
_HEARD = ("sample_rate", "num_mels", "window_seconds", "hop_seconds", "cmvn")
"""Of a front end of speech: what its frames are; its other settings are for training."""


def encoder_alone(config: Mapping[str, Any], content: Checkpoint) -> bool:
    """Whether a run takes the encoder of a checkpoint and nothing else, as that is a masked language model's."""
    return "masking" in content.config and "masking" not in config


def initialize(module: TrainingModule, config: Mapping[str, Any], content: Checkpoint) -> None:
    """Gives a fresh module the weights of another run, and nothing else of it.

    A CTC head may be missing on either side: a new one starts afresh. The front end of speech has nothing to learn:
    it may augment in another way, but has to give the same frames. Of a masked language model another model takes the
    encoder.

    Args:
        module: of the new run.
        config: of the new run.
        content: the other run's checkpoint.

    Raises:
        ValueError: if the two are not the same model; names the values that differ.
    """
    alone = encoder_alone(config, content)
    prefix, what, parts = ("model.encoder.", "encoder", ("encoder",)) if alone else ("model.", "model", _PARTS)
    # What an objective has learned of a whole model comes along.
    given = {name: tensor for name, tensor in content.weights.items() if not alone or name.startswith(prefix)}
    own = module.state_dict()
    there, here = (dict(leaves({part: side.get(part) for part in parts})) for side in (content.config, config))
    for key in (f"encoder.front_end.{name}" for name in _HEARD):
        if key in here and key in there and here[key] != there[key]:
            named = "data.sample_rate" if key.endswith(".sample_rate") else key
            raise ValueError(f"init_from: {named} is {here[key]}; expected {there[key]}, as that run has heard with it")
    unlike = {
        name
        for name in given.keys() | own.keys()
        if name.startswith(prefix)
        and not name.startswith(("model.ctc_head.", _FRONT_END))
        and (name not in given or name not in own or given[name].shape != own[name].shape)
    }
    if unlike:
        differences = [
            f"{key}: {here.get(key)!r}, there {there.get(key)!r}"
            for key in sorted(here.keys() | there.keys())
            if here.get(key) != there.get(key)
        ]
        raise ValueError(
            f"init_from: the run holds another {what} ({len(unlike)} weights do not fit, such as"
            f" {min(unlike).removeprefix('model.')}); expected the same {what} as there. Here and there differ:"
            f" {'; '.join(differences) or 'nothing else'}"
        )
    fitting = {name: tensor for name, tensor in given.items() if name in own and tensor.shape == own[name].shape}
    module.load_state_dict(fitting, strict=False)
    told = (
        ("begins afresh here", own.keys() - fitting.keys()),
        ("left out of that run", given.keys() - fitting.keys()),
    )
    more = [f"{how}: {', '.join(found)}" for how, names in told if (found := _named(names))]
    # Weights that fit may have meant another thing there, as those of another decoder.
    changed = [key for key in sorted(here.keys() & there.keys()) if here[key] != there[key] and "dropout" not in key]
    more += [f"here {key} is {here[key]!r}, there {there[key]!r}" for key in changed]
    rank_zero_info("; ".join([f"init_from: starts with the {what} of {content.path}", *more]))


def _named(weights: Iterable[str]) -> list[str]:
    """The parts of a model that weights belong to, but for the front end, which has nothing to learn."""
    return sorted({name.removeprefix("model.").partition(".")[0] for name in weights if _FRONT_END not in name})


def tell_unknown(key: str, tokenizer: Tokenizer, texts: Sequence[str]) -> None:
    """Says how much of the training texts the tokenizer of another run does not know.

    Args:
        key: of the tokenizer.
        tokenizer: of the other run.
        texts: to be written or read by this run.

    Raises:
        ValueError: if that is most of them.
    """
    encoded = [] if tokenizer.copies else [tokenizer.encode(text) for text in texts]
    unknown = [index for index, tokens in enumerate(encoded) if UNK in tokens]
    if not unknown:
        return
    share = sum(tokens.count(UNK) for tokens in encoded) / sum(map(len, encoded))
    example, written = texts[unknown[0]], tokenizer.decode(encoded[unknown[0]])
    found = (
        f"{key}: that of the other run lacks {share:.1%} of the training texts' tokens, in {len(unknown):,} of"
        f" {len(texts):,} texts, such as {example!r}, which it knows as {written!r}"
    )
    if share > _MOST_UNKNOWN:
        raise ValueError(f"{found}; expected texts in the words or letters of that run")
    rank_zero_info(found)
