"""What a checkpoint rebuilds, and what it writes."""
