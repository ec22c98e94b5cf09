"""Contains a store whose clock the test advances, and short methods for the commands."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from generic_provider_server.commands.answers import Response, respond
from generic_provider_server.commands.cancel_or_resolve import CancelRequest
from generic_provider_server.commands.claim import Claim, Demand, Handed
from generic_provider_server.commands.end_leases import end_of_stream
from generic_provider_server.commands.live_leases import Extend, LeaseState, Release
from generic_provider_server.commands.perform import Done, Perform
from generic_provider_server.commands.providers import CreateProvider, SetProviderState
from generic_provider_server.commands.scheduled import Schedule
from generic_provider_server.domain.actions import AnyAction, BecomeSubscriber
from generic_provider_server.domain.lease import Lease, stream_of, token_of
from generic_provider_server.domain.platform.image import PlatformImage
from generic_provider_server.domain.subscription.records import (
    ActionRecord,
    ProviderRecord,
    SubscriptionRecord,
)
from generic_provider_server.domain.subscription.request_records import RequestRecord
from generic_provider_server.domain.values import (
    SECOND,
    Instant,
    Provider,
    ProviderState,
    SyncState,
)
from generic_provider_server.domain.verdicts import ResponseStatus, Verdict
from generic_provider_server.services.clock_duties import duties
from generic_provider_server.services.clock_runner import Clock
from generic_provider_server.services.streams import AdapterStream
from generic_provider_server.store.read.filters import RequestFilter
from generic_provider_server.store.store import Store
from generic_provider_server.store.waits import Waits
from generic_provider_server.store.write.command import Audit, Command

Result = TypeVar("Result")

ALL_REQUESTS = RequestFilter(oldest_first=True)
START = 1_800_000_000 * SECOND

PATIENT = Waits(patience=60)
"""For stores whose tests do not test silence. With the usual waits, a busy machine can delay the
sign of life for so long that the store gives no leases.
"""


class HandClock:
    """A clock for `open_store`, in nanoseconds since 1970. Each reading advances it by a few
    microseconds.
    """

    def __init__(self) -> None:
        self.now = Instant(START)

    def __call__(self) -> int:
        self.now = Instant(self.now + 10)
        return self.now * 1_000

    def advance(self, seconds: float) -> None:
        self.now = Instant(self.now + int(seconds * SECOND))


@dataclass(slots=True)
class Bench:
    store: Store
    clock: HandClock
    _clocks: dict[str, list[Clock]] = field(default_factory=dict)
    """The clocks of each opened store, one for each duty."""

    def ask(self, command: Command[Result], *, audit: Audit | None = None) -> asyncio.Task[Result]:
        """Queues the command when the event loop runs next. The commands keep the order in which
        `ask` was called.
        """
        return asyncio.create_task(self.store.do(command, audit=audit))

    async def add_provider(self, provider: Provider) -> ProviderRecord:
        """Creates the provider and makes it effective."""
        await self.store.do(CreateProvider(provider=provider, digest=b""))
        return await self.set_state(provider.code, ProviderState.EFFECTIVE)

    async def set_state(self, provider: str, state: ProviderState) -> ProviderRecord:
        return await self.store.do(SetProviderState(provider=provider, state=state))

    async def stop_provider(self, provider: str) -> None:
        await self.set_state(provider, ProviderState.NOT_EFFECTIVE)

    async def start_provider(self, provider: str) -> None:
        await self.set_state(provider, ProviderState.EFFECTIVE)

    async def perform(
        self,
        action: AnyAction,
        subscription: str = "",
        *,
        request_id: str = "",
        bulk: bool = False,
        validate_only: bool = False,
        expected_revision: int | None = None,
        reference: str = "",
    ) -> Done:
        command = performing(
            action,
            subscription,
            request_id=request_id,
            bulk=bulk,
            validate_only=validate_only,
            expected_revision=expected_revision,
            reference=reference,
        )
        return await self.store.do(command)

    async def schedule(
        self,
        action: AnyAction,
        subscription: str,
        seconds: float,
        *,
        bulk: bool = True,
        **asked: Any,
    ) -> Done:
        """Schedules the action for a time this many seconds from now."""
        perform = performing(action, subscription, **asked)
        time = Instant(self.clock.now + int(seconds * SECOND))
        return await self.store.do(Schedule(perform=perform, time=time, bulk=bulk))

    async def become(self, action: BecomeSubscriber, *, bulk: bool = False) -> Done:
        return await self.perform(action, action.number, bulk=bulk)

    async def become_all(self, actions: Iterable[BecomeSubscriber]) -> None:
        """Performs the actions at the same time, so that the actions share transactions."""
        await asyncio.gather(*[self.become(action) for action in actions])

    async def claim(
        self, provider: str, *, stream: str = "stream", credit: int = 100, lease: float = 30
    ) -> tuple[Handed, ...]:
        demand = Demand(
            stream=stream,
            adapter=f"adapter of {stream}",
            credit=lambda _: credit,
            lease_duration=int(lease * SECOND),
        )
        (handed,) = await self.claims(provider, demand)
        return handed

    async def claims(
        self, provider: str, *demands: Demand, turn: int = 0
    ) -> tuple[tuple[Handed, ...], ...]:
        claim = Claim(provider=provider, server=self.store.server, demands=demands, turn=turn)
        return await self.store.do(claim)

    def token(self, handed: Handed) -> str:
        return token_of(handed.lane.lease, self.store.token_key)

    async def respond(self, provider: str, *responses: Response) -> tuple[Verdict, ...]:
        command = respond(provider, responses, key=self.store.token_key)
        return await self.store.do(command)

    async def answer(
        self,
        handed: Handed,
        position: int = 0,
        status: ResponseStatus = ResponseStatus.ACCEPTED,
        *,
        error_code: str = "",
        retry_delay: int | None = None,
        account_number: str = "",
    ) -> Verdict:
        """Answers the lease's request at the position."""
        response = Response(
            request=handed.requests[position].number,
            lease_token=self.token(handed),
            status=status,
            error_code=error_code,
            retry_delay=retry_delay,
            account_number=account_number,
        )
        (verdict,) = await self.respond(handed.lane.provider, response)
        return verdict

    async def cancelled_in_hand(self, action: AnyAction, subscription: str) -> Handed:
        """Performs the action, and cancels its only request after an adapter has got it. Returns
        what the adapter got.
        """
        await self.perform(action, subscription)
        (handed,) = await self.claim("SAT")
        (request,) = handed.requests
        await self.store.do(CancelRequest(request=request.number, reason="stuck", end_lease=True))
        return handed

    async def accept(self, handed: Handed) -> None:
        """Answers every request of the lease with ACCEPTED."""
        for position in range(len(handed.requests)):
            await self.answer(handed, position)

    async def accept_all(self, provider: str) -> None:
        """Accepts requests until none is ready."""
        while handed := await self.claim(provider, stream="accept all", credit=1_000):
            responses = [
                Response(
                    request=request.number,
                    lease_token=self.token(lease),
                    status=ResponseStatus.ACCEPTED,
                )
                for lease in handed
                for request in lease.requests
            ]
            await self.respond(provider, *responses)

    async def extend(self, lease: Lease, *, seconds: float | None = None) -> LeaseState:
        duration = None if seconds is None else int(seconds * SECOND)
        extension = Extend(leases=(lease,), server=self.store.server, duration=duration)
        (state,) = await self.store.do(extension)
        return state

    async def release(self, lease: Lease) -> LeaseState:
        (state,) = await self.store.do(Release(leases=(lease,)))
        return state

    async def break_stream(self, provider: str, stream: str) -> int:
        return (await self.store.do(end_of_stream(provider, stream))).found

    async def pass_time(self, seconds: float) -> None:
        """Advances the clock, and does all work that is due at the new time."""
        self.clock.advance(seconds)
        server = self.store.server
        if server not in self._clocks:
            self._clocks[server] = [Clock(self.store, [duty]) for duty in duties(server)]
        random.shuffle(self._clocks[server])  # in the service the order of the duties is not fixed
        for each in self._clocks[server]:
            await each.do_everything()

    async def subscription(self, number: str) -> SubscriptionRecord:
        record = await self.store.read(lambda queries: queries.subscription(number))
        assert record is not None
        return record

    async def action(self, number: int) -> ActionRecord:
        record = await self.store.read(lambda queries: queries.action(number))
        assert record is not None
        return record

    async def request(self, number: int) -> RequestRecord:
        record = await self.store.read(lambda queries: queries.request(number))
        assert record is not None
        return record

    async def requests(self, wanted: RequestFilter = ALL_REQUESTS) -> list[RequestRecord]:
        """Returns at most a thousand requests, the oldest first."""
        return await self.store.read(lambda queries: queries.requests(wanted, after=0, limit=1_000))

    async def sync_state(self, subscription: str, provider: str) -> SyncState:
        link = (await self.subscription(subscription)).aggregate.link(provider)
        assert link is not None
        return link.sync_state

    async def confirmed(self, subscription: str, provider: str) -> PlatformImage:
        link = (await self.subscription(subscription)).aggregate.link(provider)
        assert link is not None
        return link.confirmed


def stream_at(server: str, *, credit: int) -> AdapterStream:
    """Returns a stream of the provider SAT at this server process."""
    return AdapterStream(
        id=stream_of(server),
        provider="SAT",
        adapter="adapter",
        version="1",
        peer="peer",
        max_in_flight=credit,
        lease_duration=30 * SECOND,
        include_target=False,
    )


def performing(
    action: AnyAction,
    subscription: str = "",
    *,
    request_id: str = "",
    bulk: bool = False,
    validate_only: bool = False,
    expected_revision: int | None = None,
    reference: str = "",
) -> Perform:
    """Returns the command, with a digest of the arguments."""
    return Perform(
        action=action,
        subscription=subscription,
        original=b"as it was made",
        digest=repr((action, subscription)).encode(),
        request_id=request_id,
        bulk=bulk,
        validate_only=validate_only,
        expected_revision=expected_revision,
        reference=reference,
    )
