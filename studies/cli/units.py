"""Quantities in words."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return a duration as text, for example ``"40 s"``, ``"95 min"`` or ``"2 h 05 min"``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


def file_size(n_bytes: int) -> str:
    """Return a size as text, for example ``"571.2 kB"``."""
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 1e6 else f"{n_bytes / 1e3:.1f} kB"


def clock(seconds: float) -> str:
    """Return the time that has passed as a clock shows it, for example ``"0:34"``."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
