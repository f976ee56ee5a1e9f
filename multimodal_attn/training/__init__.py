"""Training: the one LightningModule, its objectives, optimizers and callbacks."""
