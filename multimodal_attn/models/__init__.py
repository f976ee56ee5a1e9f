"""Encoders, attention mechanisms, decoders, and the model that joins them. Torch only."""
