"""Objectives, one a file. Each is called with (model, batch, memory, output), has a ``weight``, and is logged apart."""

from multimodal_attn.training.objectives.box_supervision import BoxSupervision
from multimodal_attn.training.objectives.coverage import Coverage
from multimodal_attn.training.objectives.cross_entropy import CrossEntropy
from multimodal_attn.training.objectives.ctc import CTC
from multimodal_attn.training.objectives.doubly_stochastic import DoublyStochastic
from multimodal_attn.training.objectives.entropy import Entropy
from multimodal_attn.training.objectives.guided_attention import GuidedAttention
from multimodal_attn.training.objectives.hard_attention import HardAttention
from multimodal_attn.training.objectives.minimum_word_error import MinimumWordError
from multimodal_attn.training.objectives.self_critical import SelfCritical
from multimodal_attn.training.objectives.whole_texts import WholeTextObjective

__all__ = [
    "CTC",
    "BoxSupervision",
    "Coverage",
    "CrossEntropy",
    "DoublyStochastic",
    "Entropy",
    "GuidedAttention",
    "HardAttention",
    "MinimumWordError",
    "SelfCritical",
    "WholeTextObjective",
]
