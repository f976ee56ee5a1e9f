"""Decoders, one per file: they read a memory through attention and write tokens. ``base`` has their contract."""

from multimodal_attn.models.decoders.adaptive import AdaptiveDecoder
from multimodal_attn.models.decoders.base import Decoder, PreparedMemory
from multimodal_attn.models.decoders.copy_net import CopyNet
from multimodal_attn.models.decoders.pointer_generator import PointerGenerator
from multimodal_attn.models.decoders.prefix_transformer import PrefixTransformer
from multimodal_attn.models.decoders.recurrent import RecurrentDecoder
from multimodal_attn.models.decoders.state import DecoderState
from multimodal_attn.models.decoders.top_down import TopDownDecoder
from multimodal_attn.models.decoders.transformer import TransformerDecoder

__all__ = [
    "AdaptiveDecoder",
    "CopyNet",
    "Decoder",
    "DecoderState",
    "PointerGenerator",
    "PrefixTransformer",
    "PreparedMemory",
    "RecurrentDecoder",
    "TopDownDecoder",
    "TransformerDecoder",
]
