"""From a run's configuration to a predictor."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any, cast

from multimodal_attn.data.modalities import reader_of
from multimodal_attn.data.tokenizers import Tokenizer
from multimodal_attn.models.attention.base import Attention
from multimodal_attn.models.decoders.base import Decoder
from multimodal_attn.models.encoders.base import Encoder
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.parts import part
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.search.build import build_search

log = logging.getLogger(__name__)


def build_predictor(
    config: Mapping[str, Any],
    tokenizer: Tokenizer,
    source_tokenizer: Tokenizer | None = None,
    ctc_head: bool = False,
    trust: Collection[str] = (),
) -> Predictor:
    """A predictor with a freshly initialized model, and the search that validates it.

    Args:
        config: of a run, as plain containers; only the parts that predict are looked at.
        tokenizer: of the texts to be written.
        source_tokenizer: of sources that are texts.
        ctc_head: whether the model has one.
        trust: packages whose classes are allowed beside this one's.
    """
    model = build_model(config, tokenizer, source_tokenizer, ctc_head, trust)
    search = build_search(config["search"], model, tokenizer, trust)
    data = config["data"]
    reader, language = reader_of(model.encoder.reads, data), data.get("source_language")
    return Predictor(
        model,
        tokenizer,
        search,
        reader,
        source_tokenizer,
        str(config["name"]),
        data.get("max_seconds"),
        (*reader.suffixes, language) if language else reader.suffixes,  # lines in files of that name are texts, too
    )


def build_model(
    config: Mapping[str, Any],
    tokenizer: Tokenizer,
    source_tokenizer: Tokenizer | None,
    ctc_head: bool,
    trust: Collection[str],
) -> Seq2Seq:
    """A freshly initialized model; arguments as of ``build_predictor``."""
    return Seq2Seq(
        build_encoder(config["encoder"], source_tokenizer, trust),
        build_decoder(config, trust),
        vocab_size=len(tokenizer),
        ctc_head=ctc_head,
    )


def build_encoder(node: Mapping[str, Any], source_tokenizer: Tokenizer | None, trust: Collection[str]) -> Encoder:
    """The encoder; of texts, its width at the bottom is the size of a vocabulary."""
    encoder = part("encoder", node, Encoder, trust, given=("vocab_size",))
    if not encoder.takes("vocab_size"):
        return encoder()
    if source_tokenizer is None:
        raise ValueError(
            f"encoder: {node['_target_'].rpartition('.')[2]} reads texts, and there is no tokenizer for them; expected"
            " another encoder=, or tokenizer@source_tokenizer=word and data=parallel_text"
        )
    return encoder(vocab_size=len(source_tokenizer))


def build_decoder(config: Mapping[str, Any], trust: Collection[str]) -> Any:
    """The decoder, to be called with its widths, with its attention if it takes one."""
    decoder = part("decoder", config["decoder"], Decoder, trust, given=("attention", "memory_dim", "vocab_size"))
    attention = config.get("attention")
    if cast(type[Decoder], decoder.make).own_attention:
        if attention:
            name = str(attention.get("_target_")).rpartition(".")[2]
            log.warning("attention: %s is not used, as this decoder brings its own; ~attention says so", name)
        return decoder
    if attention is None:
        raise ValueError("attention: none given; expected attention=NAME, or a decoder that brings its own")
    attention = part("attention", attention, Attention, trust, given=("query_dim", "memory_dim"))
    return decoder.with_settings(attention=attention)
