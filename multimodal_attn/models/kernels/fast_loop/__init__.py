"""The time loop of ``RecurrentDecoder`` with a backward written by hand: the same values and gradients in less time.

``RecurrentDecoder.forward`` is the definition. This form covers one LSTM layer with an attention that offers it, see
``LoopAttention``; every other combination takes the plain loop. What it saves: autograd's records of some forty small
operations a step, and weight gradients of every step on its own (here one product over all steps). The (B, K, S, A)
hidden layers of additive attention are those of ``additive_scores``: made block by block, and anew in the backward.
"""

from multimodal_attn.models.kernels.fast_loop.function import LoopOutput, run_loop
from multimodal_attn.models.kernels.fast_loop.plan import LoopAttention

__all__ = ["LoopAttention", "LoopOutput", "run_loop"]
