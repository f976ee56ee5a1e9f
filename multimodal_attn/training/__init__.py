"""Training: the one LightningModule, its objectives, optimisers and callbacks."""
