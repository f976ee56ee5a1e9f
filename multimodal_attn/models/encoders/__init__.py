"""Encoders: pictures and waveforms to memories."""
