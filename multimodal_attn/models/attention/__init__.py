"""Attention mechanisms, one a file. ``base`` has the contract that all of them keep."""

from multimodal_attn.models.attention.additive import AdditiveAttention
from multimodal_attn.models.attention.base import Attention, AttentionStep
from multimodal_attn.models.attention.dot import DotAttention
from multimodal_attn.models.attention.location import LocationAttention
from multimodal_attn.models.attention.mean import MeanPooling
from multimodal_attn.models.attention.multihead import MultiHeadAttention

__all__ = [
    "AdditiveAttention",
    "Attention",
    "AttentionStep",
    "DotAttention",
    "LocationAttention",
    "MeanPooling",
    "MultiHeadAttention",
]
