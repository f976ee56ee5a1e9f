"""Networks of Hugging Face's transformers: found, rebuilt without a download, and never with code of their authors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from multimodal_attn.first_line import first_line
from multimodal_attn.optional_packages import require_packages

PICTURES = (
    *("beit", "clip_vision_model", "deit", "dinov2", "dinov2_with_registers", "dinov3_vit", "ijepa"),
    *("siglip_vision_model", "siglip2_vision_model", "vit", "vit_mae", "vit_msn"),
)
"""Types of networks that give patches of pictures; a joint network of pictures and texts gives its half of pictures."""

SPEECH = ("hubert", "wav2vec2", "wavlm", "whisper")
"""Types of networks that give states of recordings."""

_MOST_LAYERS, _LARGEST = 1000, 10**8

_LEFT_OUT = (
    *("auto_map", "quantization_config", "dtype", "torch_dtype", "architectures", "transformers_version"),
    *("_name_or_path", "_attn_implementation", "attn_implementation", "_commit_hash", "id2label", "label2id"),
)
"""Of a configuration: what leads elsewhere, and what says nothing of the network."""


def library() -> Any:
    """The package transformers.

    Raises:
        ValueError: if it is missing.
    """
    require_packages("encoder", "encoders", "transformers")
    import transformers

    # Its reports list the half of a joint network that is left out on purpose.
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


def architecture_of(name: str, types: tuple[str, ...]) -> dict[str, Any]:
    """The configuration of a network, as plain containers that rebuild it.

    Args:
        name: of a repository of huggingface.co, or of a folder.
        types: that are allowed.

    Raises:
        ValueError: if it is neither here nor can be fetched, or is of another type.
    """
    transformers = library()
    try:
        config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)
    except Exception as error:
        raise missing(name, error) from None
    vision = getattr(config, "vision_config", None)
    config = config if vision is None or config.model_type in types else vision
    if config.model_type not in types:
        raise ValueError(
            f"encoder.name: {name} is of the type {config.model_type!r}; expected one of {', '.join(types)}"
        )
    plain = {key: value for key, value in config.to_diff_dict().items() if key not in _LEFT_OUT}
    return {**plain, "model_type": config.model_type}


def network_of(architecture: Mapping[str, Any], types: tuple[str, ...], name: str | None) -> nn.Module:
    """A network with the weights of ``name``, or with random ones.

    Args:
        architecture: as ``architecture_of`` gives it; of a checkpoint it may be a stranger's.
        types: that are allowed.
        name: of a repository of huggingface.co, or of a folder; None for random weights.

    Raises:
        ValueError: if the architecture makes no sense, or the weights are neither here nor can be fetched.
    """
    transformers = library()
    kind = architecture.get("model_type")
    if kind not in types:
        raise ValueError(f"encoder.architecture.model_type: {kind!r}; expected one of {', '.join(types)}")
    try:
        known = transformers.AutoConfig.for_model(kind).to_dict()  # what else a configuration may name leads elsewhere
        settings = {k: v for k, v in architecture.items() if k in known and k not in (*_LEFT_OUT, "model_type")}
        for key, value in settings.items():
            _check_size(key, value)
        config = transformers.AutoConfig.for_model(kind, **settings)
        if name is None:
            found = transformers.AutoModel.from_config(config, trust_remote_code=False, attn_implementation="eager")
    except Exception as error:  # of the library, or of torch where numbers do not fit
        raise ValueError(
            f"encoder.architecture: {first_line(error)}; expected what a checkpoint of this encoder holds"
        ) from None
    if name is not None:
        try:
            found = transformers.AutoModel.from_pretrained(
                name, config=config, trust_remote_code=False, attn_implementation="eager"
            )
        except Exception as error:
            raise missing(name, error) from None
    network: nn.Module = found.float()
    return network


def _check_size(key: str, value: Any) -> None:
    """Refuses a value that would take for ever to build, or that no network has."""
    most = _MOST_LAYERS if "layers" in key else _LARGEST
    values = value if isinstance(value, list | tuple) else [value]
    numbers = [one for one in values if isinstance(one, int | float)]
    plain = all(isinstance(one, str | int | float | None) for one in values)
    if not plain or len(values) > _MOST_LAYERS or not all(abs(number) <= most for number in numbers):
        raise ValueError(f"{key} of {str(value)[:60]}, which is no number, or beyond {most:,}")


def missing(name: str, error: Exception) -> ValueError:
    """Says in one line that a network or its preprocessing could not be had."""
    return ValueError(
        f"encoder.name: {name!r} is no folder of a network and cannot be fetched ({first_line(error)}); expected a"
        " folder with config.json, preprocessor_config.json and model.safetensors, or a connection to huggingface.co"
        " without HF_HUB_OFFLINE"
    )


def blocks_of(network: nn.Module, number: int) -> list[str]:
    """Names of the network's blocks."""
    for name, part in network.named_modules():
        if isinstance(part, nn.ModuleList) and len(part) == number:
            return [f"{name}.{index}" for index in range(number)]
    return []
