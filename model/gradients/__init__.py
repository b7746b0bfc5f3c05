"""Decomposition of gradients, and what training records of it."""
