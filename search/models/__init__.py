"""Stored models: predictions, samples and decomposed gradients."""
