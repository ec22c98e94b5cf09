"""Tests that the demonstration ends with a message if an adapter does not do its work in time."""

from __future__ import annotations

import subprocess
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from generic_provider_server.demo.printing import Printer
from generic_provider_server.demo.story import Story


def test_an_adapter_that_is_not_killed_in_time_ends_the_demonstration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wait(seconds: float) -> None:
        raise subprocess.TimeoutExpired("conax-2", seconds)

    victim = nullcontext(SimpleNamespace(wait=wait))
    monkeypatch.setattr(Story, "_adapter", lambda *_: victim)
    platform: Any = SimpleNamespace(journal=list)
    story = Story.__new__(Story)
    story.printer, story.numbers = Printer(), []
    with pytest.raises(TimeoutError, match="conax-2 has not applied three requests in time"):
        story.killed_adapter(platform)
