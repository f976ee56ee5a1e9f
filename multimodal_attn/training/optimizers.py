"""Optimizers and learning-rate schedules, as functions that a yaml configures."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from multimodal_attn.models.language_models.base import LanguageModel
from multimodal_attn.models.masked_language_model import MaskedLanguageModel
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.ranges import NotNegative, Positive, Share, WholeNumber


def adamw(
    model: Seq2Seq | LanguageModel | MaskedLanguageModel,
    lr: Positive,
    weight_decay: NotNegative = 0.0,
    betas: tuple[Share, Share] = (0.9, 0.98),
    backbone_lr_scale: NotNegative = 0.1,
    fused: bool = True,
) -> Optimizer:
    """AdamW (Loshchilov & Hutter 2019) with weight decay on matrices only.

    Args:
        model: whose trainable parameters are optimized.
        lr: learning rate.
        weight_decay: decoupled decay of parameters with two or more axes; biases and norms are left alone.
        betas: of the running means.
        fused: one kernel for all parameters, twice as fast on CPUs and GPUs; not with trainer.precision=16-mixed.
        backbone_lr_scale: what a pretrained backbone that is being fine-tuned gets of ``lr``, unless its encoder has an
            ``lr_scale`` of its own.
    """
    scales = {
        id(parameter): backbone_lr_scale if scale is None else scale
        for parameters, scale in model.pretrained_parameters()
        for parameter in parameters
    }
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups.setdefault((scales.get(id(parameter), 1.0), parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "lr": lr * scale, "weight_decay": weight_decay if decays else 0.0}
            for (scale, decays), parameters in groups.items()
        ],
        lr=lr,
        betas=(betas[0], betas[1]),
        fused=fused,
    )


def cosine(
    optimizer: Optimizer,
    total_steps: int,
    warmup_steps: WholeNumber = 100,
    hold_share: Share = 0.0,
    final_share: Share = 0.02,
) -> LambdaLR:
    """Linear warm-up, the full learning rate for a while, then half a cosine down to ``final_share`` of it.

    Args:
        optimizer: whose groups keep the ratio of their learning rates.
        total_steps: optimizer steps of the whole training.
        warmup_steps: steps until the full rate.
        hold_share: share of the training after which the descent begins.
        final_share: what is left of the rate at the end.
    """
    descent = max(warmup_steps, round(hold_share * total_steps))

    def share(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        progress = min(1.0, max(0, step - descent) / max(1, total_steps - descent))
        return final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, share)


def constant(optimizer: Optimizer, total_steps: int, warmup_steps: WholeNumber = 100) -> LambdaLR:
    """Linear warm-up, then the full learning rate."""
    return LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / max(1, warmup_steps)))
