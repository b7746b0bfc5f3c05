"""Figures of a report: one per module, its numbers computed apart from its drawing."""
