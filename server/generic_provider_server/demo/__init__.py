"""`generic-provider demo` shows step by step what the service does, with real processes."""

from __future__ import annotations

from .story import play

__all__ = ["play"]
