"""Plays the life of one subscription step by step, with simulated platforms.

Adapters change platforms only under a live lease. If an answer is lost, the test remembers the
answer, so that it can arrive late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from generic_provider_server.domain.actions import AnyAction
from generic_provider_server.domain.catalogue import Catalogue
from generic_provider_server.domain.platform.compare import compare
from generic_provider_server.domain.platform.image import PlatformImage, image
from generic_provider_server.domain.platform.named_elements import Name, names
from generic_provider_server.domain.platform.reported import Reported
from generic_provider_server.domain.platform.request import Request
from generic_provider_server.domain.refusals import Reason
from generic_provider_server.domain.subscription.aggregate import Aggregate, Link
from generic_provider_server.domain.subscription.due import next_end, overdue, usage_is_over
from generic_provider_server.domain.subscription.names_changed import (
    changed_names_stay_wanted,
    only_known_names_sent,
)
from generic_provider_server.domain.subscription.pending_requests import Pending
from generic_provider_server.domain.subscription.perform import perform
from generic_provider_server.domain.subscription.report import CLOCKS, overtaken, report
from generic_provider_server.domain.subscription.request_outcomes import (
    accept,
    accepted_late,
    count_attempt,
    end_usage,
    expire,
    reject,
    touch,
)
from generic_provider_server.domain.subscription.reset import plan_reset
from generic_provider_server.domain.subscription.transition import (
    ActionChange,
    Circumstances,
    Finished,
    Transition,
)
from generic_provider_server.domain.values import (
    SECOND,
    Instant,
    Provider,
    ProviderState,
    RequestState,
    Subscription,
    SyncState,
)
from generic_provider_server.store.memory.subscriptions import NO_NAMES, names_after, names_of

from .platform import PlatformRefuses, SimulatedPlatform

START = Instant(1_700_000_000 * SECOND)
FEW = 50


@dataclass(slots=True)
class Lease:
    """The requests of a lease that the adapter has not answered. The platform has applied the first
    `done` of these requests.
    """

    handover: int
    requests: list[Pending]
    done: int = 0

    @property
    def left(self) -> int:
        """Returns the number of requests that the platform has not applied."""
        return len(self.requests) - self.done


@dataclass(frozen=True, slots=True)
class Lost:
    """A request that the platform applied under that hand-over, and whose answer was lost."""

    provider: str
    handover: int
    pending: Pending


@dataclass(slots=True)
class Life:
    providers: Sequence[Provider]
    now: Instant = START
    catalogues: dict[str, Catalogue] = field(init=False)
    platforms: dict[str, SimulatedPlatform] = field(init=False)
    aggregate: Aggregate | None = None
    leases: dict[str, Lease] = field(default_factory=dict)
    lost: list[Lost] = field(default_factory=list)
    finals: dict[int, Finished] = field(default_factory=dict)
    changes: dict[int, ActionChange] = field(default_factory=dict)
    handed: list[tuple[int, str, Pending]] = field(default_factory=list)
    done: set[int] = field(default_factory=set)
    next_number: int = 1
    next_action: int = 1

    def __post_init__(self) -> None:
        self.catalogues = {provider.code: Catalogue(provider) for provider in self.providers}
        self.platforms = {provider.code: SimulatedPlatform() for provider in self.providers}

    @property
    def there(self) -> Aggregate:
        assert self.aggregate is not None, "nobody has become a subscriber"
        return self.aggregate

    @property
    def desired(self) -> Subscription:
        return self.there.desired

    @property
    def circumstances(self) -> Circumstances:
        return Circumstances(
            now=self.now,
            catalogues=self.catalogues,
            next_numbers=lambda _: self.next_number,
            leased=self.leased,
        )

    def leased(self, provider: str) -> set[int]:
        lease = self.leases.get(provider)
        return {pending.number for pending in lease.requests} if lease else set()

    def link(self, provider: str) -> Link:
        link = self.there.link(provider)
        assert link is not None, f"{provider} is not linked"
        return link

    def queue(self, provider: str) -> list[Request]:
        return [pending.request for pending in self.there.queue(provider)]

    def wanted(self, provider: str) -> PlatformImage:
        return image(self.desired, self.catalogues[provider], now=self.now)

    def differences(self, provider: str) -> list[str]:
        """Returns the differences between the contents of the platform and the contents that the
        CRM wants there.
        """
        wanted = self.wanted(provider)
        return self.platforms[provider].differences(self.desired.number, wanted, self.now)

    def state(self, number: int) -> RequestState:
        return self.finals[number].state if number in self.finals else RequestState.PENDING

    def perform(self, action: AnyAction, *, automatic: bool = False) -> int:
        """Performs the action and returns its id."""
        performed = perform(
            self.aggregate,
            action,
            action_id=self.next_action,
            circumstances=self.circumstances,
            automatic=automatic,
        )
        self.next_action += 1
        self._take(performed)
        return self.next_action - 1

    def lease(self, provider: str, *, most: int = 100) -> None:
        """Hands over the first unit, or as many of its requests as the adapter can take."""
        assert provider not in self.leases, "a second live lease"
        queue = self.there.queue(provider)
        taken = [pending for pending in queue if pending.unit == queue[0].unit][:most]
        handover = self.handed[-1][0] + 1 if self.handed else 0
        self.leases[provider] = Lease(handover, taken)
        self.handed += [(handover, provider, pending) for pending in taken]

    def do(self, provider: str) -> bool:
        """Applies the next request of the lease on the platform. Returns False if the platform
        refuses it.
        """
        lease = self.leases[provider]
        pending = lease.requests[lease.done]
        try:
            self.platforms[provider].apply(self.desired.number, pending.request)
        except PlatformRefuses:
            return False
        lease.done += 1
        self.done.add(pending.number)
        return True

    def accept(self, provider: str) -> int:
        """Accepts the first request of the lease, and returns its number."""
        lease = self.leases[provider]
        assert lease.done, "accepted, but not applied on the platform"
        lease.done -= 1
        number = lease.requests.pop(0).number
        if not lease.requests:
            del self.leases[provider]
        self._take(accept(self.there, number, circumstances=self.circumstances))
        return number

    def reject(self, provider: str) -> int:
        """Rejects the first request of the lease, which ends the lease."""
        lease = self.leases.pop(provider)
        number = lease.requests[0].number
        assert not lease.done, "rejected, but applied on the platform"
        refused = reject(self.there, number, circumstances=self.circumstances, error_code="E7")
        self._take(refused)
        return number

    def lose(self, provider: str, *, counted: bool = False) -> None:
        """Ends the lease without answers. If `counted` is True, a failed attempt of the first
        request is counted.
        """
        lease = self.leases.pop(provider)
        deeds = lease.requests[: lease.done]
        self.lost += [Lost(provider, lease.handover, pending) for pending in deeds]
        numbers = {pending.number for pending in lease.requests}
        self._take(touch(self.there, provider, numbers=numbers, circumstances=self.circumstances))
        if counted:
            first = lease.requests[0].number
            tried = count_attempt(self.there, first, delay=0, circumstances=self.circumstances)
            self._take(tried)

    def withdraw(self, provider: str) -> None:
        """Ends the lease because the server has not sent it. No request counts as handed over."""
        lease = self.leases.pop(provider)
        assert not lease.done, "sent after all"
        self.handed = [each for each in self.handed if each[0] != lease.handover]

    def come_late(self, lost: Lost) -> None:
        """Accepts a request with the token of a lease that has ended."""
        final = self.finals.get(lost.pending.number)
        late = accepted_late(
            self.there,
            lost.provider,
            lost.pending.request,
            state=final.state if final else RequestState.PENDING,
            names=self._doubtful(lost, final),
            circumstances=self.circumstances,
        )
        self._take(late)

    def cancel(self, number: int) -> None:
        """Cancels the request, as an operator does. A lease that covers the request ends."""
        self._end_lease_of(number)
        cancelled = reject(
            self.there,
            number,
            circumstances=self.circumstances,
            reason=Reason.CANCELLED_BY_OPERATOR,
        )
        self._take(cancelled)

    def resolve(self, number: int) -> None:
        """Resolves the request, as a person does who has checked the platform."""
        self._end_lease_of(number)
        act = accept if number in self.done else reject
        self._take(act(self.there, number, circumstances=self.circumstances))

    def overdue(self, provider: str) -> bool:
        """Tells whether the provider's pending requests expire now."""
        queue, catalogue = self.there.queue(provider), self.catalogues[provider]
        return provider not in self.leases and overdue(queue, catalogue, at=self.now)

    def expire(self, provider: str) -> None:
        assert provider not in self.leases, "what is leased does not expire"
        self._take(expire(self.there, provider, circumstances=self.circumstances))

    def wait(self, seconds: int) -> None:
        """Advances the time, and does all work that is due at the new time."""
        self.now = Instant(self.now + seconds * SECOND)
        if usage_is_over(self.there, now=self.now):
            self._take(end_usage(self.there, circumstances=self.circumstances))
        while end := next_end(self.desired, now=self.now):
            self.perform(end, automatic=True)

    def switch(self, provider: str, *, effective: bool) -> None:
        state = ProviderState.EFFECTIVE if effective else ProviderState.NOT_EFFECTIVE
        self.change(replace(self.catalogues[provider].provider, state=state))

    def change(self, provider: Provider) -> None:
        self.catalogues[provider.code] = Catalogue(provider)

    def reset(self, provider: str, *, full: bool = False, recreate: bool = False) -> None:
        planned = plan_reset(
            self.there,
            provider,
            full=full,
            recreate=recreate,
            circumstances=self.circumstances,
        )
        self._take(planned.transition())

    def report(
        self, provider: str, held: Reported | None, *, observed_time: Instant | None = None
    ) -> bool:
        """Reports what the platform holds. Returns False if requests may have changed the platform
        since `observed_time`, or if a later report was applied.
        """
        observed_time = observed_time or Instant(self.now + CLOCKS)
        if overtaken(self.link(provider), observed_time=observed_time):
            return False
        told = report(
            self.there,
            provider,
            held=held,
            observed_time=observed_time,
            circumstances=self.circumstances,
        )
        self._take(told.transition)
        return True

    def serve(self, provider: str) -> list[Request]:
        """Answers all pending requests, as an adapter whose platform applies what it can. Returns
        the requests.
        """
        did = []
        while self.there.queue(provider):
            if provider not in self.leases:
                self.lease(provider)
            first = self.leases[provider].requests[0]
            if self.leases[provider].done or self.do(provider):
                self.accept(provider)
                did.append(first.request)
            else:
                self.reject(provider)
        return did

    def in_sync(self, provider: str) -> bool:
        return self.link(provider).sync_state is SyncState.IN_SYNC

    def _doubtful(self, lost: Lost, final: Finished | None) -> frozenset[Name]:
        """Returns the elements that the late answer makes uncertain. For a completed request, these
        are the elements that later requests have named too.
        """
        named = names(lost.pending.request)
        if final is None or final.state is not RequestState.COMPLETED:
            return named
        number = lost.pending.number
        last = max(n for n, (*_, pending) in enumerate(self.handed) if pending.number == number)
        later = [
            names(pending.request)
            for _, provider, pending in self.handed[last + 1 :]
            if provider == lost.provider
        ]
        return named & frozenset().union(*later)

    def _end_lease_of(self, number: int) -> None:
        for provider, lease in list(self.leases.items()):
            if number in [pending.number for pending in lease.requests]:
                self.lose(provider)

    def _take(self, transition: Transition) -> None:
        """Applies the change. The service computes some values from the change alone. This method
        checks that these values equal the values that are computed from the whole aggregate.
        """
        former, self.aggregate = self.aggregate, transition.aggregate
        unsettled = len(self.aggregate.performed)
        # with many actions, the full computation is slow
        if unsettled < FEW or unsettled % FEW == 0:
            named = names_of(former) if former else NO_NAMES
            assert names_after(former, named, transition) == names_of(self.aggregate)
            if former and only_known_names_sent(former, transition):
                assert named == names_of(self.aggregate)
            if former and changed_names_stay_wanted(former, transition):
                assert named == names_of(self.aggregate)
        for link in self.aggregate.links:
            held = link.expected(now=self.now)
            differs = bool(compare(held, self.wanted(link.provider)))
            assert (link.sync_state is SyncState.OUT_OF_SYNC) == differs, link
        self.next_number += len(transition.created)
        for finished in transition.finished:
            number = finished.pending.number
            assert number not in self.finals, f"request {number} ended twice"
            self.finals[number] = finished
        for change in transition.actions:
            self.changes[change.performed.id] = change
