from __future__ import annotations

import math

import pytest
import torch

from multimodal_attn.models.encoders.speech.distortion import Noise, Reverberation
from multimodal_attn.models.encoders.speech.log_mel import LogMel


def test_statistics_are_those_of_all_real_frames_seen() -> None:
    front_end = LogMel(num_mels=20).train()
    seen = []
    for lengths in (torch.tensor([8000, 4000]), torch.tensor([3000, 16000, 500])):
        waveforms = torch.randn(len(lengths), int(lengths.max())) * torch.rand(len(lengths), 1)
        front_end(waveforms, lengths)
        untouched = LogMel(num_mels=20).eval()  # nothing counted yet: plain log-mel frames
        frames, numbers = untouched(waveforms, lengths)
        seen += [row[:n] for row, n in zip(frames, numbers, strict=True)]
    every = torch.cat(seen)
    assert int(front_end.count) == len(every)
    torch.testing.assert_close(front_end.mean, every.mean(0), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(front_end.square / front_end.count, every.var(0, unbiased=False), rtol=1e-4, atol=1e-4)


def test_a_click_lands_in_the_frame_of_its_time() -> None:
    front_end = LogMel(num_mels=20).eval()
    waveform = torch.zeros(1, 16000)
    waveform[0, 8080] = 1.0  # 0.505 s: the middle of frame 50
    frames, numbers = front_end(waveform, torch.tensor([16000]))
    energy = frames[0].exp().sum(-1)
    assert numbers.tolist() == [100]
    assert int(energy.argmax()) == 50


def test_augmentation_only_in_training() -> None:
    front_end = LogMel(num_mels=20, num_time_masks=2, num_mel_masks=2, speeds=(0.9, 1.1))
    waveform, length = torch.randn(1, 16000), torch.tensor([16000])
    front_end.train()
    lengths = {int(front_end(waveform, length)[1]) for _ in range(10)}
    assert lengths <= {math.ceil(100 / 0.9), math.ceil(100 / 1.1)}
    assert len(lengths) == 2
    front_end.eval()
    first, second = front_end(waveform, length)[0], front_end(waveform, length)[0]
    assert first.shape[1] == 100
    torch.testing.assert_close(first, second)


def test_running_statistics_travel_in_the_state_dict() -> None:
    front_end = LogMel(num_mels=20).train()
    front_end(torch.randn(2, 16000), torch.tensor([16000, 9000]))
    other = LogMel(num_mels=20)
    other.load_state_dict(front_end.state_dict())
    waveform, length = torch.randn(1, 16000), torch.tensor([16000])
    torch.testing.assert_close(other.eval()(waveform, length)[0], front_end.eval()(waveform, length)[0])
    assert all(buffer.dtype != torch.float64 for buffer in front_end.buffers())  # Apple's MPS has none


def test_the_frames_of_a_large_corpus_are_all_counted() -> None:
    front_end = LogMel(num_mels=20).train()
    with torch.no_grad():
        front_end.count.fill_(2**33)
        front_end.square.fill_(2.0**33)
    front_end(torch.randn(1, 16000), torch.tensor([16000]))
    assert front_end.count == 2**33 + 100


def test_statistics_are_those_of_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a second process had seen the same frames: twice the number, the same mean and variance."""
    alone, together = LogMel(num_mels=20).train(), LogMel(num_mels=20).train()
    waveform, length = torch.randn(1, 16000), torch.tensor([16000])
    alone(waveform, length)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda sums: sums.mul_(2))
    together(waveform, length)
    assert together.count == 2 * alone.count
    torch.testing.assert_close(together.mean, alone.mean)
    torch.testing.assert_close(together.square / together.count, alone.square / alone.count)


def test_cmvn_of_each_utterance_is_its_own() -> None:
    front_end = LogMel(num_mels=20, cmvn="utterance").eval()
    waveforms, lengths = torch.randn(2, 16000) * torch.tensor([[1.0], [0.01]]), torch.tensor([16000, 5000])
    frames, numbers = front_end(waveforms, lengths)
    for row, number in zip(frames, numbers, strict=True):
        torch.testing.assert_close(row[:number].mean(0), torch.zeros(20), atol=1e-4, rtol=0)
        torch.testing.assert_close(row[:number].var(0, unbiased=False), torch.ones(20), atol=1e-3, rtol=0)
        assert not row[number:].any()


def test_without_cmvn_nothing_is_counted() -> None:
    front_end = LogMel(num_mels=20, cmvn="none").train()
    front_end(torch.randn(1, 16000), torch.tensor([16000]))
    assert front_end.count == 0


def test_distortion_only_in_training() -> None:
    front_end = LogMel(num_mels=20, cmvn="none", noise=Noise(1.0), reverberation=Reverberation(16000, 1.0))
    waveform, length = torch.randn(1, 16000), torch.tensor([16000])
    clean = LogMel(num_mels=20, cmvn="none").eval()(waveform, length)[0]
    assert torch.equal(front_end.eval()(waveform, length)[0], clean)
    assert not torch.allclose(front_end.train()(waveform, length)[0][:, :100], clean, atol=1e-2)


def test_training_frames_come_in_few_lengths() -> None:
    front_end = LogMel(num_mels=20).train()
    for seconds in (0.5, 0.6, 0.72):
        frames, numbers = front_end(torch.randn(2, int(seconds * 16000)), torch.tensor([int(seconds * 16000), 4000]))
        assert frames.shape[1] == 72
        assert numbers.tolist() == [round(seconds * 100), 25]
        assert not frames[0, numbers[0] :].any()
        assert not frames[1, 25:].any()


def test_frames_of_a_graph_are_those_of_a_fourier_transform() -> None:
    front_end = LogMel().eval()
    time = torch.arange(9000) / 16000
    waveforms = 0.3 * torch.sin(2 * torch.pi * (200 + 900 * time) * time)[None] + 0.02 * torch.randn(1, 9000)
    num_frames = torch.tensor([-(-9000 // front_end.hop)])
    found = front_end._mel_by_convolutions(waveforms, num_frames).clamp(min=1e-6).log()
    window = torch.nn.functional.pad(front_end.mel.spectrogram.window, ((512 - 400) // 2,) * 2).double()
    padded = torch.nn.functional.pad(waveforms.double(), (176, 512))
    power = torch.fft.rfft(padded.unfold(1, 512, 160)[:, : int(num_frames)] * window).abs().square()
    exact = (power @ front_end.mel.mel_scale.fb.double()).clamp(min=1e-6).log().transpose(1, 2)
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=1e-4)
    usual = front_end._mel(waveforms, num_frames).clamp(min=1e-6).log()
    assert (found - usual).abs().max() < 1e-3  # whose transform in fp32 rounds more than these sums
