"""Causal language models: they know texts alone, and help a beam search to choose among them."""

from multimodal_attn.models.language_models.base import LanguageModel, LanguageState
from multimodal_attn.models.language_models.recurrent import RecurrentLanguageModel
from multimodal_attn.models.language_models.transformer import TransformerLanguageModel

__all__ = ["LanguageModel", "LanguageState", "RecurrentLanguageModel", "TransformerLanguageModel"]
