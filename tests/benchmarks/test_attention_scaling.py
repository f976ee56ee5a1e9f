from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import attention_scaling


def test_exponent_of_a_power_law() -> None:
    sizes = [4, 8, 16, 32]
    assert attention_scaling.exponent(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    # Constant cost at the small sizes stays out of the fit.
    assert attention_scaling.exponent(sizes, [9.0, 9.0, 16.0, 32.0]) == pytest.approx(1.0)
    assert attention_scaling.exponent(sizes[:2], [4.0, 8.0]) == pytest.approx(1.0)


def test_peak_counts_what_is_held_at_a_time() -> None:
    kept = torch.ones(2**18)

    def step() -> None:
        both = kept * 2  # 1 MiB
        both = both + 1  # two of them at a time, then one
        del both
        kept.sum()

    assert attention_scaling.peak_bytes(step, "cpu") == pytest.approx(2 * 2**20, rel=0.01)


def test_every_mechanism_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, drawn = tmp_path / "scaling.json", tmp_path / "scaling.png"
    options = ["--sizes", "32", "512", "--devices", "cpu", "--width", "8", "--repeats", "1"]
    monkeypatch.setattr(sys, "argv", ["attention_scaling.py", *options, "--json", str(found), "--figure", str(drawn)])
    attention_scaling.main()
    results = json.loads(found.read_text())
    assert [result["mechanism"] for result in results] == attention_scaling.mechanisms()
    for result in results:
        assert result["sizes"] == [32, 512]
        assert min(result["milliseconds"]) > 0
        small, large = result["peak_bytes"]
        # All of them make S weights at least, but for the mean, which is made once per source.
        assert small > 0
        assert large == small if result["mechanism"] == "mean" else large >= small + 4 * (512 - 32)
    assert drawn.stat().st_size > 10_000


def test_one_size_fits_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        attention_scaling.parse(["--sizes", "64"])
    assert "expected two or more lengths" in capsys.readouterr().err
