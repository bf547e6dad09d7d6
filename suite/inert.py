"""Text that came from elsewhere, made fit for a terminal."""

from __future__ import annotations


def inert(text: str) -> str:
    """A message whose characters cannot steer a terminal, whatever it was read from."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
