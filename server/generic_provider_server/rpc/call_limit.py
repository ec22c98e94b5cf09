"""Limits the number of running calls, so that no caller waits long because of other callers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from generic_provider.v1.subscription_service_pb2 import BatchPerformActionsRequest

from ..domain.refusals import Reason, Refused

CALL = 4
"""The size of a call that is no batch. The size of a batch is larger by 1 for each action."""
MOST_TAKEN = 4_000
"""The limit for the sum of the sizes of the running unary calls of a gRPC service: 1,000 single
calls, or 38 batches of 100 actions. Calls that wait for an event have a second limit of the same
size.
"""


class CallLimit:
    """Limits the sum of the sizes of the running unary calls of one gRPC service.

    Each gRPC service has its own limit, so that calls of a CRM cannot cause the refusal of calls of
    adapters and operators. Calls that wait for an event have a limit of their own, because they run
    long without work, and must not cause the refusal of other calls.
    """

    def __init__(self) -> None:
        self._taken = 0

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Counts a call of this size while the `with` block runs. Raises Refused if the call would
        exceed the limit.
        """
        if self._taken + size > MOST_TAKEN:
            raise Refused(
                Reason.TOO_MANY_CALLS,
                "this server process has too many calls of this service already; nothing was done, "
                "repeat the call later",
            )
        self._taken += size
        try:
            yield
        finally:
            self._taken -= size


class StreamLimit:
    """Limits the number of open streams of one RPC.

    Each RPC has its own limit, so that streams of one kind never prevent streams of another kind.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Counts a stream while the `with` block runs. Raises Refused if there are too many
        streams.
        """
        if self._open >= self._most:
            raise Refused(
                Reason.TOO_MANY_STREAMS,
                f"this server process has {self._most} streams of this RPC already; "
                "try another process, or try again later",
                max_streams=str(self._most),
            )
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1


def size_of(batch: BatchPerformActionsRequest) -> int:
    """Returns the size of a batch of actions. Every other call has the size CALL, even a call with
    many answers, because the credit of the adapters already limits the number of answers.
    """
    return CALL + len(batch.actions)
