"""Makes queued commands for tests in which no command runs."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from generic_provider_server.commands.audit import AddEntries
from generic_provider_server.store.write.command import Asked, Awaited
from generic_provider_server.store.write.loaded import Needs

NOTHING = AddEntries(entries=())
NOBODY = Awaited(cast("asyncio.Future[None]", None), left=1)


def queued(needs: Needs) -> Asked[Any]:
    """Returns a command with these needs that was queued at the time 0 and that nobody awaits."""
    return Asked(NOTHING, needs, NOBODY, asked_at=0.0)
