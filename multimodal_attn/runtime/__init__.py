"""Runs exported models without torch: numpy, onnxruntime, Pillow and soundfile are all that it needs.

from multimodal_attn.runtime import Runtime

print(Runtime("exported")("photo.jpg").text)
"""

from multimodal_attn.runtime.output import Output
from multimodal_attn.runtime.runtime import Runtime

__all__ = ["Output", "Runtime"]
