"""Objectives, one a file. Each is called with (model, batch, memory, output), has a ``weight``, and is logged apart."""

from multimodal_attn.training.objectives.cross_entropy import CrossEntropy
from multimodal_attn.training.objectives.ctc import CTC
from multimodal_attn.training.objectives.doubly_stochastic import DoublyStochastic

__all__ = ["CTC", "CrossEntropy", "DoublyStochastic"]
