"""Objectives, one a file. Each is called with (model, batch, memory, output), has a ``weight``, and is logged apart."""

from multimodal_attn.training.objectives.cross_entropy import CrossEntropy
from multimodal_attn.training.objectives.ctc import CTC
from multimodal_attn.training.objectives.doubly_stochastic import DoublyStochastic
from multimodal_attn.training.objectives.minimum_word_error import MinimumWordError
from multimodal_attn.training.objectives.self_critical import SelfCritical
from multimodal_attn.training.objectives.whole_texts import WholeTextObjective

__all__ = ["CTC", "CrossEntropy", "DoublyStochastic", "MinimumWordError", "SelfCritical", "WholeTextObjective"]
