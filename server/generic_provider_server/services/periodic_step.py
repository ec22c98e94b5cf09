"""Calls a function again and again on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from ..domain.refusals import Reason, Refused

log = structlog.get_logger()


class Loop:
    """Runs `step` again `seconds` after `step` has ended, or immediately if `step` returns a true
    value.

    `step` also runs again after it has failed. An error of `step` is logged, unless the error is
    that the store cannot be reached.
    """

    def __init__(self, name: str, step: Callable[[], Awaitable[object]], *, seconds: float) -> None:
        self._name = name
        self._step = step
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            more = await self._try()
            await asyncio.sleep(0 if more else self._seconds)

    async def _try(self) -> object:
        try:
            return await self._step()
        except Refused as refused:
            if refused.reason is not Reason.STORE_UNAVAILABLE:
                log.warning("step_refused", step=self._name, message=refused.message)
        except Exception:
            log.exception("step_failed", step=self._name)
        return False
