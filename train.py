"""Trains a model: ``python train.py [group=choice] [any.value=...]``; ``--help`` lists both."""

from __future__ import annotations

import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf


def run_folder(resume: str | None, new: str) -> str:
    """Where a run lives: a resumed one in its own folder, also when ``resume`` names one of its checkpoints."""
    if resume is None:
        return new
    return str(Path(resume).parent.parent) if Path(resume).is_file() else resume


OmegaConf.register_new_resolver("run_folder", run_folder)


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> float | None:
    # Imported here, so that --help and tab completion do not wait for torch.
    from multimodal_attn.runs.train import resumed_config, train
    from multimodal_attn.training.callbacks.non_finite import TrainingDivergedError

    try:
        if config.resume:
            config = resumed_config(config, list(HydraConfig.get().overrides.task))
        return train(config, Path(HydraConfig.get().runtime.output_dir))
    except (ValueError, TrainingDivergedError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
