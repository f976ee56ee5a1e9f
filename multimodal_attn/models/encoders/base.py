"""The contract of encoders.

What an encoder has learned already, its body, may be frozen. Whatever loads, optimizes or caches an encoder asks by the
names below; most encoders have no such body, and the defaults say so.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from multimodal_attn.models.encoders.source_distortion import SourceDistortion
from multimodal_attn.parts import checked, parameters
from multimodal_attn.types import Layout, Memory, Modality


class Reach(NamedTuple):
    """How much of a recording around it a memory position hears, in samples.

    Memory positions lie in cells of the recording. A position hears its own cell and some of what lies around it.

    Attributes:
        past: before the cell, but for what ``Encoder.go_on`` carries along.
        future: after the cell.
        cell: of one position, or of several that hear each other.
        step: of one position.
    """

    past: int
    future: int
    cell: int
    step: int


class Encoder(nn.Module, ABC):
    """Maps sources to a memory; what comes after knows the memory's layout and nothing else of the modality.

    The memory of a source never depends on its batch mates.

    Attributes:
        reads: what it encodes.
        dim: width D of the memory.
        layout: where each memory position lies in the source.
        body: the part that may have been trained before, and that freezing is about; None for encoders without.
        network_name: of the body, for people who look through a cache; empty for encoders without.
        distortion: of sources in training, and of the versions that a cache keeps; None for none.
        unfetched: settings of the constructor with which it fetches no weights.
        no_graph: why it cannot be exported, as what it does; empty for those that can.
        pretrained: the body has learned elsewhere, so that fine-tuning it needs a smaller learning rate.
        lr_scale: what the body's parameters get of the learning rate; None for the optimizer's choice.
        stream_names: of those that ``Memory.shares`` speaks of.
        frozen: the body never trains.
        held: the body does not train for now.
    """

    reads: Modality = "recording"
    dim: int
    layout: Layout
    unfetched: ClassVar[Mapping[str, Any]] = {}
    no_graph: ClassVar[str] = ""
    network_name: str = ""
    pretrained: bool = False
    lr_scale: float | None = None
    stream_names: tuple[str, ...] = ()
    frozen: bool = False
    held: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.body: nn.Module | None = None
        self.distortion: SourceDistortion | None = None

    @abstractmethod
    def forward(self, source: Tensor, lengths: Tensor) -> Memory:
        """Encodes a batch.

        Shapes:
            source: (B, 3, height, width) uint8 pictures, (B, L) float32 waveforms or (B, S) int64 texts.
            lengths: (B,) samples or tokens; pictures do not use it.
        """

    def layer_weights(self, source: Tensor, lengths: Tensor) -> list[Tensor]:
        """The weights of every layer of self-attention, first to last; empty for encoders without.

        Shapes:
            As in ``forward``. Returns (B, N, P, P) each, for the N heads of the layer, rows that sum to 1; the last S
            of the P positions are those of the memory, any before them belong to no cell.
        """
        return []

    @property
    def reach(self) -> Reach | None:
        """Of a memory position of a recording, in evaluation; None if it hears all of it."""
        return None

    def go_on(self, source: Tensor, lengths: Tensor, first: int, done: int, carried: Any) -> tuple[Memory, Any]:
        """The memory of a recording that is still going on, behind what was encoded before; see ``reach``.

        Args:
            source: one recording, from a cell on that lies as far before its first new position as ``reach`` says.
            lengths: its samples.
            first: the positions in it that were encoded before, and are left out.
            done: how many of the others will be left out the next time, whole cells.
            carried: what the last call returned; None for the first.

        Returns:
            The memory, and what to carry to the next call: nothing, for an encoder whose reach says it all.

        Shapes:
            source: (1, L) waveforms. lengths: (1,).
        """
        memory = self(source, lengths)
        return replace(memory, states=memory.states[:, first:], mask=memory.mask[:, first:]), None

    @classmethod
    def modality(cls, settings: Mapping[str, Any], trust: Collection[str] = ()) -> Modality:
        """What an encoder with these settings of a configuration encodes; nothing is built or loaded for it.

        Args:
            settings: as plain containers.
            trust: packages whose classes are allowed beside this one's.
        """
        return cls.reads

    @classmethod
    def without_download(cls, settings: Mapping[str, Any], trust: Collection[str] = ()) -> dict[str, Any]:
        """The same settings, for an encoder that is to be filled from elsewhere: no weights are fetched.

        Args:
            settings: of a configuration.
            trust: packages whose classes are allowed beside this one's.

        Raises:
            ValueError: if what it takes the place of makes no sense.
        """
        for name in settings.keys() & cls.unfetched.keys():
            checked(f"encoder.{name}", settings[name], parameters(cls)[name].annotation)
        return {**settings, **cls.unfetched}

    @classmethod
    def from_checkpoint(cls, settings: Mapping[str, Any], trust: Collection[str] = ()) -> dict[str, Any]:
        """The same settings, for an encoder that a checkpoint fills, which may be a stranger's: no file that they name
        is opened either.

        Raises:
            ValueError: if they do not say enough to build the encoder.
        """
        return cls.without_download(settings, trust)

    def restored(self, settings: Mapping[str, Any]) -> None:
        """Says that a checkpoint has given it its weights: it has learned elsewhere if it was built so.

        Args:
            settings: that it was first built with, before ``from_checkpoint``.
        """
        usual = {name: parameters(type(self))[name].default for name in self.unfetched}
        self.pretrained |= any(settings.get(name, usual[name]) != value for name, value in self.unfetched.items())

    def found(self) -> dict[str, Any]:
        """What building it has found out that its settings do not say, such as the architecture of a network with that
        name: settings of its own, which a checkpoint takes with it."""
        return {}

    def parts(self) -> tuple[Encoder, ...]:
        """The encoders that it is made of, each with a body and a feature cache of its own; most are of one part."""
        return (self,)

    def hold(self, held: bool) -> None:
        """Treats the whole body as frozen for a while, whatever the settings say."""
        self.held = held
        self.train(self.training)

    @contextmanager
    def longest(self) -> Iterator[None]:
        """While it lasts, sources come out as long as training may make them."""
        yield

    def cache_fingerprint(self) -> str | None:
        """Changes with everything that the output of ``extract`` depends on but the source; None if it is nothing to
        keep, because it changes in training."""
        return None

    def distortion_fingerprint(self) -> str | None:
        """Changes with what ``distort`` does; None if it does nothing."""
        return None if self.distortion is None else self.distortion.fingerprint

    def distort(self, source: Tensor, seed: int) -> Tensor:
        """Another version of a source, of which a cache keeps several: the same for the same seed.

        Shapes:
            (3, height, width) uint8 or (L,) to the same, though a recording may become longer or shorter.
        """
        return source if self.distortion is None else self.distortion.version(source, seed)

    def extract(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What a cache keeps of each source: ``assemble(*extract(source, lengths))`` is ``forward``.

        Shapes:
            As in ``forward``. Returns (B, S, width), and (B,) how many of the S positions are each source's.
        """
        return source, lengths

    def assemble(self, features: Tensor, lengths: Tensor) -> Memory:
        """The memory from what ``extract`` gave, fresh or cached."""
        memory: Memory = self(features, lengths)
        return memory

    def join(self, extracted: Sequence[tuple[Tensor, Tensor]]) -> Memory:
        """The memory from what ``extract`` of each of its parts gave, in their order."""
        return self.assemble(*extracted[0])


def body_fingerprint(body: nn.Module, settings: Sequence[Any]) -> str:
    """What tells the output of one body from that of others.

    The weights do not say where a network is cut, nor what it does between them: its ``repr`` has to.

    Args:
        body: the network.
        settings: plain values that its output depends on as well.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(body.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().numpy().tobytes())
    digest.update(json.dumps([repr(body), *settings]).encode())
    return digest.hexdigest()[:16]
