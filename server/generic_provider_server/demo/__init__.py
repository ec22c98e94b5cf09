"""`generic-provider demo` demonstrates the service step by step, with real processes."""

from __future__ import annotations

from .story import play

__all__ = ["play"]
