"""`generic-provider adapter check`, in a process of its own, with an adapter to judge."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress

from support.processes import PROGRAM

Serve = Callable[[str], Coroutine[None, None, None]]


async def checked(serve: Serve, *options: str) -> tuple[int, dict[int, str]]:
    """The exit code of the command, and its verdict on each rule."""
    command = [*PROGRAM, "adapter", "check", "--listen", "127.0.0.1:0", *options]
    check = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert check.stdout
    address = (await check.stdout.readline()).decode().split()[-1]
    async with running(serve(address)):
        printed = (await check.stdout.read()).decode()
    found = re.findall(r"^ *(\d+) .* (kept|broken|not seen)(?: |$)", printed, re.MULTILINE)
    sys.stdout.write(printed)
    return await check.wait(), {int(rule): word for rule, word in found}


@asynccontextmanager
async def running(adapter: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(adapter)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
