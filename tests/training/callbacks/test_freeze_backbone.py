from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from multimodal_attn.data.modalities.picture import PictureReader
from multimodal_attn.data.tokenizers.word import WordTokenizer
from multimodal_attn.evaluation.texts.captions import CaptionScores
from multimodal_attn.models.attention import DotAttention
from multimodal_attn.models.decoders import RecurrentDecoder
from multimodal_attn.models.encoders.pictures.image_cnn import ImageCNN
from multimodal_attn.models.encoders.text.text_lstm import TextLSTM
from multimodal_attn.models.seq2seq import Seq2Seq
from multimodal_attn.prediction.predictor import Predictor
from multimodal_attn.search import GreedySearch
from multimodal_attn.training.callbacks.freeze_backbone import FreezeBackbone
from multimodal_attn.training.module import Seq2SeqModule
from multimodal_attn.training.objectives.cross_entropy import CrossEntropy
from multimodal_attn.training.optimizers import adamw
from multimodal_attn.types import Batch


def module(trainable_from: str | None) -> Seq2SeqModule:
    encoder = ImageCNN("resnet18", "layer2", None, image_size=32, dim=8, trainable_from=trainable_from)
    model = Seq2Seq(encoder, partial(RecurrentDecoder, partial(DotAttention)), vocab_size=9)
    predictor = Predictor(model, WordTokenizer(), GreedySearch(5), PictureReader(32))
    return Seq2SeqModule(predictor, {"cross_entropy": CrossEntropy()}, CaptionScores(), adamw)


def learns(made: Seq2SeqModule, epoch: int, optimizer: torch.optim.Optimizer) -> set[str]:
    """Parts of the backbone that change in a step of training, running means included."""
    callback: Any = FreezeBackbone(epochs=2)
    callback.on_train_batch_start(SimpleNamespace(current_epoch=epoch), made, None, 3)
    before = {name: value.clone() for name, value in made.model.encoder.state_dict().items()}
    tokens = torch.tensor([[[1, 5, 2]]] * 4)
    pictures = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    batch = Batch(["x"] * 4, pictures, torch.ones(4), tokens, tokens > 0, [])
    output, _ = made.model(batch)
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(output.logits, output.labels).backward()
    optimizer.step()
    after = made.model.encoder.state_dict()
    return {".".join(name.split(".")[:2]) for name in before if not torch.equal(before[name], after[name])}


def test_the_backbone_waits_and_then_trains_from_where_it_is_told() -> None:
    made = module("layer2").train()
    optimizer = adamw(made.model, lr=0.01, weight_decay=0.1, fused=False)
    assert learns(made, 0, optimizer) == {"project.0", "project.1"}
    assert learns(made, 1, optimizer) == {"project.0", "project.1"}
    made.eval().train()  # as around a validation
    assert not made.model.encoder.body.training
    assert learns(made, 2, optimizer) == {"body.layer2", "project.0", "project.1"}
    made.eval().train()
    assert made.model.encoder.body.layer2.training
    assert not made.model.encoder.body.bn1.training


def test_a_resumed_run_goes_on_with_the_right_stage() -> None:
    made = module("all").train()
    assert "body.conv1" in learns(made, 7, adamw(made.model, lr=0.01, fused=False))


def test_what_has_no_second_stage_is_refused() -> None:
    callback: Any = FreezeBackbone(1)
    with pytest.raises(ValueError, match=r"encoder.trainable_from: null"):
        callback.on_fit_start(None, module(None))
    callback.on_fit_start(None, module("layer2"))
    other = module("layer2")
    other.model.encoder = TextLSTM(5, 4, 4)
    with pytest.raises(ValueError, match="this encoder has no backbone"):
        callback.on_fit_start(None, other)
