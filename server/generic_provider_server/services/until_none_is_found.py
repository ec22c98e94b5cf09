"""Repeats a command that changes a bounded number of subscriptions."""

from __future__ import annotations

import asyncio

from ..commands.end_leases import Progress
from ..store.store import Store
from ..store.write.command import Command

LOCKED_SECONDS = 0.5
"""The pause, in seconds, while another process has locked all subscriptions that were found."""


async def until_none_is_found(store: Store, command: Command[Progress]) -> None:
    while (progress := await store.do(command)).found:
        if not progress.done:
            await asyncio.sleep(LOCKED_SECONDS)
