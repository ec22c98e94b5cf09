"""`generic-provider demo` shows the main job step by step, with real processes."""

from __future__ import annotations

from .story import play

__all__ = ["play"]
