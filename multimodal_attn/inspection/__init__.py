"""Attention that can be looked at: static figures and the self-contained page."""
