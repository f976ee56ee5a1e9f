"""Attention mechanisms, one per file. ``base`` has the contract that all of them keep."""

from multimodal_attn.models.attention.additive import AdditiveAttention
from multimodal_attn.models.attention.base import Attention, AttentionStep
from multimodal_attn.models.attention.coverage import CoverageAttention
from multimodal_attn.models.attention.dot import DotAttention
from multimodal_attn.models.attention.forward_attention import ForwardAttention
from multimodal_attn.models.attention.general import GeneralAttention
from multimodal_attn.models.attention.hard import HardAttention
from multimodal_attn.models.attention.linear import LinearAttention
from multimodal_attn.models.attention.local import LocalAttention
from multimodal_attn.models.attention.location import LocationAttention
from multimodal_attn.models.attention.mean import MeanPooling
from multimodal_attn.models.attention.mocha import MochaAttention
from multimodal_attn.models.attention.monotonic import MonotonicAttention
from multimodal_attn.models.attention.multihead import MultiHeadAttention
from multimodal_attn.models.attention.multihead_location import MultiHeadLocationAttention
from multimodal_attn.models.attention.normalizers import Normalizer, NormalizerName

__all__ = [
    "AdditiveAttention",
    "Attention",
    "AttentionStep",
    "CoverageAttention",
    "DotAttention",
    "ForwardAttention",
    "GeneralAttention",
    "HardAttention",
    "LinearAttention",
    "LocalAttention",
    "LocationAttention",
    "MeanPooling",
    "MochaAttention",
    "MonotonicAttention",
    "MultiHeadAttention",
    "MultiHeadLocationAttention",
    "Normalizer",
    "NormalizerName",
]
