"""Optuna's tables in the store, written for the dashboard."""
