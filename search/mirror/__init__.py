"""Optuna's tables as a mirror of ours, and the notes of optuna-dashboard."""
