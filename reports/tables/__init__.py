"""The tables of a report as artefacts."""
