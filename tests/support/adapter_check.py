"""Runs `generic-provider adapter check` in a process of its own, and an adapter that the check
judges.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from subprocess import PIPE

from support.forking import Forked

Serve = Callable[[str], Coroutine[None, None, None]]


async def checked(serve: Serve, *options: str) -> tuple[int, dict[int, str]]:
    """Returns the exit code of the command, and the verdict on each rule."""
    return judged(await printed_by_check(serve, *options))


def judged(ended: tuple[int, str]) -> tuple[int, dict[int, str]]:
    code, printed = ended
    found = re.findall(r"^ *(\d+) .* (kept|broken|not seen)(?: |$)", printed, re.MULTILINE)
    sys.stdout.write(printed)
    return code, {int(rule): word for rule, word in found}


async def printed_by_check(serve: Serve, *options: str) -> tuple[int, str]:
    """Returns the exit code of the command, and the text that it prints after the address."""
    to_error = "--json" in options
    check = Forked(
        *("adapter", "check", "--listen", "127.0.0.1:0", *options), err=PIPE if to_error else 2
    )
    progress = check.err if to_error else check.out
    address = (await asyncio.to_thread(progress.readline)).split()[-1]
    async with running(serve(address)):
        printed = await asyncio.to_thread(check.out.read)
    return await asyncio.to_thread(check.wait), printed


@asynccontextmanager
async def running(adapter: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(adapter)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
