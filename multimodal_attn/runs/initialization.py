"""Starting a run with the weights of another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multimodal_attn.prediction.checkpoint import Checkpoint
from multimodal_attn.runs.configuration import leaves
from multimodal_attn.training.module import Seq2SeqModule

_PARTS = ("encoder", "attention", "decoder")


def initialize(module: Seq2SeqModule, config: Mapping[str, Any], content: Checkpoint) -> None:
    """Gives a fresh module the weights of another run, and nothing else of it.

    A CTC head may be missing on either side: a new one starts afresh. The front end of speech has nothing to learn:
    it may augment in another way.

    Args:
        module: of the new run.
        config: of the new run.
        content: the other run's checkpoint.

    Raises:
        ValueError: if the two are not the same model; names the values that differ.
    """
    given, own = content.weights, module.state_dict()
    unlike = {
        name
        for name in given.keys() | own.keys()
        if name.startswith("model.")
        and not name.startswith(("model.ctc_head.", "model.encoder.front_end."))
        and (name not in given or name not in own or given[name].shape != own[name].shape)
    }
    if unlike:
        there, here = (dict(leaves({part: side.get(part) for part in _PARTS})) for side in (content.config, config))
        differences = [
            f"{key}: {here.get(key)!r}, there {there.get(key)!r}"
            for key in sorted(here.keys() | there.keys())
            if here.get(key) != there.get(key)
        ]
        raise ValueError(
            f"init_from: the run holds another model ({len(unlike)} weights do not fit, such as"
            f" {min(unlike).removeprefix('model.')}). Here and there differ: {'; '.join(differences) or 'nothing else'}"
        )
    fitting = {name: tensor for name, tensor in given.items() if name in own and tensor.shape == own[name].shape}
    module.load_state_dict(fitting, strict=False)
