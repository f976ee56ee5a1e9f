"""Files to pictures, waveforms and lines of text."""
