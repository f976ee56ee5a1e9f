"""Runs: what train.py, evaluate.py and the predictor call."""
