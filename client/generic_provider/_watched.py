"""Decides when Client and AsyncClient open a stream again, and when the stream has ended."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Generic

import grpc

from generic_provider._calls import Item, Response, Watch
from generic_provider._connection import Tries

SILENCE_SECONDS = 30.0
"""A lasting stream that has been silent for this number of seconds is opened again. A server sends
a message at least every 10 s.
"""

Cancel = Callable[[], object]


def _call(cancel: Cancel) -> object:
    return cancel()


class Watched(Generic[Response, Item]):
    """The state of one stream during all attempts to open it.

    `more`: true if the stream has to be opened again, after `delay` seconds.
    """

    def __init__(self, watch: Watch[Response, Item], timeout: timedelta) -> None:
        self._watch = watch
        self._tries = Tries(timeout)
        # a lasting stream is opened again without a limit of time
        self._limit = timedelta.max if watch.lasting else timeout
        self._heard = time.monotonic()
        self._has_read = False
        self._silent = False
        self.more = True
        self.delay = 0.0

    @contextmanager
    def opened(self, cancel: Cancel, *, call: Callable[[Cancel], object] = _call) -> Iterator[None]:
        """Handles the errors of the `with` block, which reads the stream.

        `cancel` cancels the stream. If the stream is silent for too long, another thread cancels it
        by `call(cancel)`. Raises a ProvisioningError if the stream is not opened again after an
        error.
        """
        ended = threading.Event()
        self._silent = False
        self._heard, self.more, self.delay = time.monotonic(), self._watch.lasting, 0.0
        if self._watch.lasting:
            listen = partial(self._listen, ended, partial(call, cancel))
            threading.Thread(target=listen, daemon=True).start()
        try:
            yield
        except grpc.RpcError as error:
            if self._has_read:  # a message has arrived, so the limit begins anew
                self._tries, self._has_read = Tries(self._limit), False
            self.delay, self.more = self._tries.delay_after(error), True
        except asyncio.CancelledError:
            # grpc.aio raises CancelledError too if only the stream was cancelled, and not the task
            task = asyncio.current_task()
            if not self._silent or (task and task.cancelling()):
                raise
        finally:
            ended.set()
            cancel()

    def read(self, message: Response) -> Iterator[Item]:
        """Yields the results in the message. The time of silence begins anew with each result that
        the program takes, so a program that needs long for a whole message keeps the stream.
        """
        self._has_read = True
        self._heard = time.monotonic()
        for item in self._watch.read(message):
            yield item
            self._heard = time.monotonic()

    def _listen(self, ended: threading.Event, cancel: Cancel) -> None:
        """Cancels the stream if no message arrives for SILENCE_SECONDS."""
        while (left := self._heard + SILENCE_SECONDS - time.monotonic()) > 0:
            if ended.wait(left):
                return
        self._silent = True
        cancel()
