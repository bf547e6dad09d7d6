"""The neural tangent kernel, computed in place."""

from .gram import ntk_gram

__all__ = ["ntk_gram"]
