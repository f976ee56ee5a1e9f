"""Decoders: they read a memory through attention and write tokens."""

from multimodal_attn.models.decoders.recurrent import DecoderState, PreparedMemory, RecurrentDecoder

__all__ = ["DecoderState", "PreparedMemory", "RecurrentDecoder"]
