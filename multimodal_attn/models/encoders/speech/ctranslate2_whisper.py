"""The encoder of Whisper (Radford et al. 2023) in a folder of CTranslate2, in int8 on a CPU."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from multimodal_attn.models.encoders.carried_file import CarriedFile, find_file
from multimodal_attn.models.encoders.speech.pretrained import (
    WINDOW_SECONDS,
    PretrainedSpeech,
    check_sample_rate,
    heard_in_windows,
    num_steps,
)
from multimodal_attn.models.encoders.speech.waveform_distortion import WaveformDistortion
from multimodal_attn.models.encoders.speech.whisper_mel import log_mel
from multimodal_attn.optional_packages import require_packages
from multimodal_attn.ranges import Count, DropoutRate, SampleRate, WholeNumber

_FILES = ("model.bin", "config.json", "vocabulary.json", "vocabulary.txt")
_ADVICE = "a folder with model.bin and config.json, as ct2-transformers-converter writes it"
_RATE = 16_000
_STEP = 320  # samples of a state


class CTranslate2Whisper(PretrainedSpeech):
    """Whisper's encoder, frozen: a state for each 20 ms; its output can be cached.

    Recordings of more than 30 s are heard in windows that overlap by two seconds. The folder's files become a part of
    the checkpoint, so that a trained model needs them no more.

    Args:
        folder: its path, or PACKAGE:PATH for one inside of an installed package; None for a checkpoint to fill.
        sample_rate: of the waveforms, in Hz: 16000.
        compute_type: of the network's products.
        silence_seconds: that follows each recording; the network has learned from recordings that silence fills up to
            30 s.
        dim, dropout, num_time_masks, time_mask_steps, distortion: of ``PretrainedSpeech``.
        network: what building it has found out: ``num_bytes`` of the files; ``width``.

    Raises:
        ValueError: if the folder or ctranslate2 is missing, or it holds no Whisper.
    """

    no_graph = "runs in CTranslate2, which is no graph"

    def __init__(
        self,
        folder: str | None,
        sample_rate: SampleRate = 16_000,
        compute_type: Literal["int8", "float32"] = "int8",
        silence_seconds: Literal[0, 1, 2, 5, 10] = 1,
        dim: Count | None = 256,
        dropout: DropoutRate = 0.1,
        num_time_masks: WholeNumber = 0,
        time_mask_steps: Count = 10,
        distortion: WaveformDistortion | None = None,
        network: Mapping[str, WholeNumber] | None = None,
    ) -> None:
        check_sample_rate(sample_rate, _RATE)
        if folder is not None:
            content = _packed(find_file("encoder.folder", folder, _ADVICE))
            body = _Network(CarriedFile(content, len(content)), compute_type, silence_seconds * _RATE)
            width = body.encode(torch.zeros(1, _RATE, device="cpu")).shape[2]
        elif network is None or {"num_bytes", "width"} - set(network):
            raise ValueError(f"encoder.folder: null; expected {_ADVICE}")
        else:
            body = _Network(CarriedFile(None, network["num_bytes"]), compute_type, silence_seconds * _RATE)
            width = network["width"]
        self._found = {"num_bytes": body.file.num_bytes, "width": width}
        super().__init__(
            body,
            [width],
            False,
            _STEP / _RATE,
            sample_rate,
            dim,
            dropout,
            num_time_masks,
            time_mask_steps,
            distortion,
        )
        self.network_name = f"{folder or 'Whisper'}, {compute_type}"

    @classmethod
    def from_checkpoint(cls, settings: Mapping[str, Any], trust: Collection[str] = ()) -> dict[str, Any]:
        """See ``Encoder``: the checkpoint holds the files."""
        return {**settings, "folder": None}

    def found(self) -> dict[str, Any]:
        """See ``Encoder``."""
        return {"network": self._found}

    def hear(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """See ``PretrainedSpeech``. Each recording is heard alone: what it shares a batch with changes nothing."""
        steps = num_steps(lengths, _STEP)
        states = waveforms.new_zeros(len(waveforms), int(steps.max()), self._found["width"])
        if not waveforms.is_meta:
            assert isinstance(self.body, _Network)
            for index, (samples, number) in enumerate(zip(lengths.tolist(), steps.tolist(), strict=True)):
                states[index, :number] = self.body.states(waveforms[index, :samples].float().cpu(), number).to(states)
        return states, steps


class _Network(nn.Module):
    """The network itself, started when it is first asked."""

    def __init__(self, file: CarriedFile, compute_type: str, silence: int) -> None:
        super().__init__()
        self.file, self.compute_type, self.silence = file, compute_type, silence
        self._model: Any = None

    def extra_repr(self) -> str:
        return f"{self.compute_type}, {self.silence} samples of silence"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None}  # it can be neither copied nor sent to another process

    def states(self, waveform: Tensor, number: int) -> Tensor:
        """The states of one recording of any length.

        Shapes:
            waveform: (L,). Returns (number, width).
        """
        return heard_in_windows(waveform, number, _STEP, self._window)

    def _window(self, waveform: Tensor) -> Tensor:
        silence = min(self.silence, WINDOW_SECONDS * _RATE - len(waveform))
        return self.encode(torch.nn.functional.pad(waveform, (0, silence))[None])[0]

    def encode(self, waveforms: Tensor) -> Tensor:
        """Encodes waveforms (B, L) of 30 s at most; returns (B, L / 320, width)."""
        runtime, model = _runtime(), self._started()
        mels = np.ascontiguousarray(log_mel(waveforms, model.n_mels).numpy())
        return torch.from_numpy(np.array(model.encode(runtime.StorageView.from_array(mels), to_cpu=True))).float()

    def _started(self) -> Any:
        if self._model is None:
            try:
                self._model = _runtime().models.Whisper(
                    "memory",
                    "cpu",
                    compute_type=self.compute_type,
                    intra_threads=torch.get_num_threads(),
                    files=_unpacked(self.file.content),
                )
            # Of a stranger's file, whatever ctranslate2 stumbles over.
            except (RuntimeError, ValueError, TypeError, MemoryError, tarfile.TarError) as error:
                raise ValueError(f"encoder.folder: no Whisper of CTranslate2 ({error}); expected {_ADVICE}") from None
        return self._model


def _packed(folder: Path) -> bytes:
    """The files of a folder in one, without their times: the same files always give the same bytes."""
    names = [name for name in _FILES if (folder / name).is_file()]
    if not {"model.bin", "config.json"} <= set(names):
        there = ", ".join(names) or "none of these files"
        raise ValueError(f"encoder.folder: '{folder}' holds {there}; expected {_ADVICE}")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as files:
        for name in names:
            content = (folder / name).read_bytes()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            files.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def _unpacked(content: bytes) -> dict[str, bytes]:
    """The files by their names; a checkpoint may be a stranger's.

    Only plain entries of the first kind of tar are read, by their headers alone: what else a tar may hold leads to
    other files, is larger than it says, or has no end.

    Raises:
        ValueError, TarError: for what ``_packed`` does not make.
    """
    found: dict[str, bytes] = {}
    place = 0
    while any(header := content[place : place + tarfile.BLOCKSIZE]):
        info = tarfile.TarInfo.frombuf(header, "ascii", "strict")
        place += tarfile.BLOCKSIZE
        if info.type != tarfile.REGTYPE or info.name not in _FILES or not 0 <= info.size <= len(content) - place:
            raise ValueError(f"{info.name[:40]!r} of {info.size} bytes is packed with it")
        found[info.name] = content[place : place + info.size]
        place += -(-info.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
    return found


def _runtime() -> Any:
    require_packages("encoder", "whisper", "ctranslate2")
    import ctranslate2

    return ctranslate2
