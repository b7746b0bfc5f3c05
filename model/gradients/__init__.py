"""Gradients taken apart, and what training records of them."""
