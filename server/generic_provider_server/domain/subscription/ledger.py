"""The workspace of one change to an aggregate; `transition` turns it into values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from ..catalogue import Catalogue, Catalogues
from ..platform.effect import doubt
from ..platform.image import NOTHING, PlatformImage, Request, image
from ..platform.plan import plan
from ..refusals import Refused
from ..values import Instant, RequestOrigin, RequestState, Subscription, SyncState, Value
from .after import after
from .aggregate import ActionError, Aggregate, Link, Outcome, Pending, Performed, in_order
from .undone import Undone, undone


class Circumstances(Value, frozen=True, kw_only=True):
    """What a change depends on besides the aggregate.

    `leased`: per provider, how many requests at the head of its queue are on a live lease.
    `next_number`: the first free request number.
    """

    now: Instant
    catalogues: Catalogues
    next_number: int
    leased: Mapping[str, int] = {}


class Finished(Value, frozen=True, kw_only=True):
    """A request that reached its final state."""

    provider: str
    pending: Pending
    state: RequestState
    error_code: str = ""
    error_description: str = ""
    reference_number: str = ""


class ActionChange(Value, frozen=True, kw_only=True):
    """An action that is new, changed or settled; `taken_back` is None where it did not change."""

    performed: Performed
    settled: bool
    taken_back: tuple[Undone, ...] | None = None


class Transition(Value, frozen=True, kw_only=True):
    """What a change made: the aggregate now, and what the store has to write besides."""

    aggregate: Aggregate
    created: tuple[tuple[str, Pending], ...] = ()
    finished: tuple[Finished, ...] = ()
    actions: tuple[ActionChange, ...] = ()


class Ledger:
    """Mutable, used within one pure function only.

    `as_expected`: the providers whose platforms are expected to hold what they were before.
    """

    def __init__(self, aggregate: Aggregate, circumstances: Circumstances) -> None:
        self.before = aggregate
        self.circumstances = circumstances
        self.now = circumstances.now
        self.catalogues = circumstances.catalogues
        self.base = aggregate.settled_state
        self.desired = aggregate.desired
        self.performed = list(aggregate.performed)
        self.links = {link.provider: link for link in aggregate.links}
        self.next_unit = aggregate.next_unit
        self.finished: list[Finished] = []
        self.settled: list[Performed] = []
        self.taken_back: dict[int, tuple[Undone, ...]] = {}
        self.as_expected: set[str] = set()
        self._images: dict[tuple[int, str], tuple[Subscription, PlatformImage]] = {}

    def new_unit(self) -> int:
        self.next_unit += 1
        return self.next_unit - 1

    def effective(self) -> Iterator[tuple[Link, Catalogue]]:
        """The links whose provider is effective now."""
        for link in list(self.links.values()):
            catalogue = self.catalogues[link.provider]
            if catalogue.effective:
                yield link, catalogue

    def image(self, subscription: Subscription | None, catalogue: Catalogue) -> PlatformImage:
        if subscription is None:
            return NOTHING
        key = id(subscription), catalogue.code
        known = self._images.get(key)
        if known is None:
            known = subscription, image(subscription, catalogue, now=self.now)
            self._images[key] = known
        return known[1]

    def leased(self, provider: str) -> tuple[Pending, ...]:
        return self.links[provider].queue[: self.circumstances.leased.get(provider, 0)]

    def enqueue(
        self,
        provider: str,
        requests: tuple[Request, ...],
        *,
        unit: int,
        origin: RequestOrigin,
        performed: Performed | None = None,
    ) -> None:
        if not requests:
            return
        link = self.links[provider]
        first = 1 + max(self._indexes(provider, unit), default=-1)
        added = [
            Pending(
                unit=unit,
                index=first + n,
                origin=origin,
                request=request,
                create_time=self.now,
                schedule_time=performed.at if performed else self.now,
                action=performed.id if performed else 0,
                bulk=performed.bulk if performed else False,
            )
            for n, request in enumerate(requests)
        ]
        queue = (*link.queue, *added)
        sorted_already = not link.queue or link.queue[-1].unit <= unit
        self.links[provider] = replace(link, queue=queue if sorted_already else in_order(queue))

    def _indexes(self, provider: str, unit: int) -> list[int]:
        """The places in the unit that are taken, or were when the change began."""
        queue = self.links[provider].queue
        finished = [f.pending for f in self.finished if f.provider == provider]
        return [pending.index for pending in (*queue, *finished) if pending.unit == unit]

    def finish(
        self,
        provider: str,
        pending: Pending,
        state: RequestState,
        *,
        confirmed: PlatformImage | None = None,
        error_code: str = "",
        error_description: str = "",
        reference_number: str = "",
    ) -> None:
        """Takes the request from its queue; its action remembers how it ended."""
        link = self.links[provider]
        self.links[provider] = replace(
            link,
            confirmed=link.confirmed if confirmed is None else confirmed,
            queue=tuple([other for other in link.queue if other != pending]),
        )
        if pending.number:
            self.finished.append(
                Finished(
                    provider=provider,
                    pending=pending,
                    state=state,
                    error_code=error_code,
                    error_description=error_description,
                    reference_number=reference_number,
                )
            )
        for n, performed in enumerate(self.performed):
            if performed.id == pending.action:
                outcomes = (*performed.outcomes, Outcome(provider, state))
                self.performed[n] = replace(performed, outcomes=outcomes)

    def abandon(self, provider: str, pending: Pending, state: RequestState) -> None:
        """Ends a request that got no answer: what it named is uncertain if it was handed over."""
        confirmed = self.links[provider].confirmed
        if pending.touched:
            confirmed = doubt(confirmed, pending.request)
        self.finish(provider, pending, state, confirmed=confirmed)

    def pending_of(self, performed: Performed) -> bool:
        units = (pending.unit for link in self.links.values() for pending in link.queue)
        return performed.unit in units

    def action(self, number: int) -> Performed:
        """The unsettled action of that number, as it is now."""
        return next(performed for performed in self.performed if performed.id == number)

    def change(self, performed: Performed, changed: Performed) -> Performed:
        self.performed[self.performed.index(performed)] = changed
        return changed

    def settle(self) -> None:
        """Moves every settled action, in order, from the unsettled ones into base."""
        while self.performed and not self.pending_of(self.performed[0]):
            first = self.performed.pop(0)
            self.settled.append(first)
            if not self.performed:
                self.base = self.desired
            else:
                self.base = after(self.base, first, catalogues=self.catalogues)

    def tell_taken_back(
        self, before: Subscription | None, performed: Performed, state: Subscription
    ) -> None:
        """Notes, for the record, what the action would have done and no longer does."""
        whole = replace(performed, taken_back=(), undone=False)
        try:
            applied = after(before, whole, catalogues=self.catalogues)
        except Refused:
            state, applied = self._as_it_was(performed.id)
        self.taken_back[performed.id] = undone(applied, state)

    def _as_it_was(self, action: int) -> tuple[Subscription, Subscription]:
        """The states before and after the action, before anything of this change."""
        state = self.before.settled_state
        for performed in self.before.performed:
            former, state = state, after(state, performed, catalogues=self.catalogues)
            if performed.id == action:
                return former or state, state
        raise LookupError(f"action {action} is not unsettled")

    def transition(self) -> Transition:
        self.settle()
        created = self._number()
        links = tuple([self._synchronised(link) for link in self.links.values()])
        aggregate = Aggregate(
            desired=self.desired,
            base=self.base if self.performed else None,
            performed=tuple(self.performed),
            links=links,
            next_unit=self.next_unit,
        )
        return Transition(
            aggregate=aggregate,
            created=created,
            finished=tuple(self.finished),
            actions=tuple(self._action_changes()),
        )

    def _number(self) -> tuple[tuple[str, Pending], ...]:
        number = self.circumstances.next_number
        created = []
        for provider, link in self.links.items():
            if 0 not in [pending.number for pending in link.queue]:
                continue
            queue = []
            for pending in link.queue:
                if pending.number:
                    queue.append(pending)
                    continue
                numbered = replace(pending, number=number)
                number += 1
                created.append((provider, numbered))
                queue.append(numbered)
            self.links[provider] = replace(link, queue=tuple(queue))
        return tuple(created)

    def _synchronised(self, link: Link) -> Link:
        if self._differs(link):
            state = SyncState.OUT_OF_SYNC
        else:
            state = SyncState.PENDING if link.queue else SyncState.IN_SYNC
        return link if link.sync_state is state else replace(link, sync_state=state)

    def _differs(self, link: Link) -> bool:
        """Is there something to plan? As before, if neither side has changed since: what is in use
        of a provider never changes, and usage is all that ends by itself."""
        timeless = not (self.desired.usages or link.confirmed.usages)
        if timeless and self.desired is self.before.desired and link.provider in self.as_expected:
            return link.sync_state is SyncState.OUT_OF_SYNC
        catalogue = self.catalogues[link.provider]
        wanted = self.image(self.desired, catalogue)
        return bool(plan(link.expected(now=self.now), wanted, catalogue=catalogue))

    def _action_changes(self) -> Iterator[ActionChange]:
        before = {performed.id: performed for performed in self.before.performed}
        for performed in self.settled:
            yield self._action_change(performed, settled=True)
        for performed in self.performed:
            former = before.get(performed.id)
            if former is None or performed.error != former.error or performed.id in self.taken_back:
                yield self._action_change(performed, settled=False)

    def _action_change(self, performed: Performed, *, settled: bool) -> ActionChange:
        return ActionChange(
            performed=performed,
            settled=settled,
            taken_back=self.taken_back.get(performed.id),
        )


def error_once(performed: Performed, error: ActionError) -> Performed:
    """The first rejection stays the action's error."""
    return performed if performed.error else replace(performed, error=error)
