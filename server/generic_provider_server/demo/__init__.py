"""`generic-provider demo`: the main job, told step by step on real processes."""

from __future__ import annotations

from .story import play

__all__ = ["play"]
