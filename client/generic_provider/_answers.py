"""Sends the answers of an adapter to the server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import islice

from generic_provider._connection import delays
from generic_provider.async_client import AsyncClient
from generic_provider.enums import ResponseCode, ResponseStatus
from generic_provider.errors import (
    DeadlineExceeded,
    PermissionDenied,
    ProvisioningError,
    ServerUnavailable,
    TooManyCalls,
    Unauthenticated,
)
from generic_provider.v1.provisioning_service_pb2 import ProvisioningResponse, ResponseResult

log = logging.getLogger("generic_provider")
_BATCH = 1000
_KEPT = 10_000
_LATER = ServerUnavailable, DeadlineExceeded, TooManyCalls, Unauthenticated, PermissionDenied
"""After these errors of a call, the answers of the call are sent again, because the answers have
not caused the error.
"""


class Answers:
    """Sends answers in the order in which `put` queued them. Keeps answers that came too late or
    out of order, so that no routine runs again when the server hands the same request over again.

    While a call of SendResponses runs, further answers are collected for the next batch.
    """

    def __init__(self, client: AsyncClient, provider: str) -> None:
        self._client = client
        self._provider = provider
        self._waiting: dict[str, ProvisioningResponse] = {}
        self._kept: dict[str, ProvisioningResponse] = {}
        self._some = asyncio.Event()
        self._none = asyncio.Event()
        self._none.set()

    def known(self, request: str) -> ProvisioningResponse | None:
        """Returns an earlier answer to the request, if the server has not applied this answer;
        otherwise None. Never returns an answer RETRY_LATER, because the routine has to run again
        after it.
        """
        found = self._waiting.get(request) or self._kept.get(request)
        return found if found and found.status != ResponseStatus.RETRY_LATER else None

    def put(self, answer: ProvisioningResponse) -> None:
        """Queues the answer. If an earlier answer to the same request is queued or kept, drops the
        earlier answer, because the earlier answer carries an older token.
        """
        self._kept.pop(answer.request, None)
        self._waiting.pop(answer.request, None)
        self._waiting[answer.request] = answer
        self._some.set()
        self._none.clear()

    async def flushed(self) -> None:
        await self._none.wait()

    async def run(self) -> None:
        pauses = delays(0.1, 10.0)
        while True:
            await self._some.wait()
            try:
                await self._send(list(islice(self._waiting.values(), _BATCH)))
            except _LATER as error:
                log.warning("%d answers wait to be sent: %s", len(self._waiting), error)
                await asyncio.sleep(next(pauses))
            else:
                pauses = delays(0.1, 10.0)

    async def _send(self, batch: Sequence[ProvisioningResponse]) -> None:
        try:
            results = await self._client.send_responses(self._provider, responses=batch)
        except _LATER:
            raise
        except ProvisioningError as refusal:
            if len(batch) > 1:
                for each in batch:  # one bad answer must not prevent the other answers
                    await self._send([each])
                return
            log.error("the answer to %s was refused: %s", batch[0].request, refusal)  # noqa: TRY400
            self._settle(batch[0], keep=True)
            return
        for sent, result in zip(batch, results, strict=True):
            self._judge(sent, result)

    def _judge(self, sent: ProvisioningResponse, result: ResponseResult) -> None:
        match result.code:
            case ResponseCode.APPLIED | ResponseCode.DUPLICATE:
                self._settle(sent, keep=False)
            case ResponseCode.STALE:
                log.info("the answer to %s came too late: %s", sent.request, result.message)
                self._settle(sent, keep=True)
            case ResponseCode.CONFLICT:
                log.warning("%s already has another outcome: %s", sent.request, result.message)
                self._settle(sent, keep=False)
            case _:
                verdict = ResponseCode.name_of(result.code)
                log.error("answer to %s: %s: %s", sent.request, verdict, result.message)
                self._settle(sent, keep=result.code == ResponseCode.OUT_OF_ORDER)

    def _settle(self, sent: ProvisioningResponse, *, keep: bool) -> None:
        if self._waiting.get(sent.request) is not sent:
            return  # a newer answer, with a newer token, was queued in the meantime
        del self._waiting[sent.request]
        if keep:
            self._kept[sent.request] = sent
            if len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]
        if not self._waiting:
            self._some.clear()
            self._none.set()
