"""Defines the ledger: a mutable copy of an aggregate. Each function that changes a subscription
computes its change on a ledger of its own.

`Ledger.transition` returns the result as a frozen value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from msgspec.structs import replace

from ..actions import ServiceListAction
from ..catalogue import Catalogue
from ..platform.compare import compare
from ..platform.doubt import doubt
from ..platform.image import NOTHING, PlatformImage, image
from ..platform.named_elements import services_of
from ..values import RequestState, RequestType, Subscription, SyncState
from .aggregate import Aggregate, Link
from .expected import Expected
from .pending_requests import Pending, in_order
from .state_after import after
from .transition import ActionChange, Circumstances, Finished, Transition
from .undone import Undone
from .unsettled_actions import Outcome, Requested, UnsettledAction


class Ledger:
    """A mutable copy of an aggregate. Each function that computes a change makes its own copy, so
    the function stays pure.

    `as_expected`: the providers at which *expected* is the same as before the change. `as_wanted`:
    the providers at which *expected* is what the CRM wants, because the new requests were planned
    from the state of the CRM. `added`: the providers that get new requests.
    """

    __slots__ = (
        "_expected",
        "_images",
        "added",
        "as_expected",
        "as_wanted",
        "base",
        "before",
        "catalogues",
        "circumstances",
        "desired",
        "finished",
        "links",
        "next_unit",
        "now",
        "performed",
        "settled",
        "taken_back",
    )

    def __init__(self, aggregate: Aggregate, circumstances: Circumstances) -> None:
        self.before = aggregate
        self.circumstances = circumstances
        self.now = circumstances.now
        self.catalogues = circumstances.catalogues
        self.base = aggregate.settled_state
        self.desired = aggregate.desired
        self.performed = {performed.id: performed for performed in aggregate.performed}
        self.links = {link.provider: link for link in aggregate.links}
        self.next_unit = aggregate.next_unit
        self.finished: list[Finished] = []
        self.settled: list[UnsettledAction] = []
        self.taken_back: dict[int, tuple[Undone, ...]] = {}
        self.added: set[str] = set()
        self.as_expected: set[str] = set()
        self.as_wanted: set[str] = set()
        self._images: dict[tuple[int, str], tuple[Subscription, PlatformImage]] = {}
        self._expected = Expected(now=self.now)

    def new_unit(self) -> int:
        self.next_unit += 1
        return self.next_unit - 1

    def effective(self) -> Iterator[tuple[Link, Catalogue]]:
        """Yields each link to a provider that is effective now, with the provider's catalogue."""
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

    def expected(self, provider: str, *, before_unit: int | None = None) -> PlatformImage:
        """Returns *confirmed* with the effects of the pending requests.

        If `before_unit` is given, the requests of this unit and of later units are left out.
        """
        return self._expected.image(self.links[provider], before_unit=before_unit)

    def leased(self, provider: str) -> AbstractSet[int]:
        """Returns the numbers of the requests that the live lease at the provider covers."""
        return self.circumstances.leased.get(provider, frozenset())

    def add(self, provider: str, added: Sequence[Pending]) -> None:
        """Adds new requests to the queue in the order of their units.

        An action on a list of services records the entitlements in its new requests.
        """
        if not added:
            return
        link = self.links[provider]
        queue = (*link.queue, *added)
        sorted_already = not link.queue or link.queue[-1].unit <= added[0].unit
        self.links[provider] = replace(link, queue=queue if sorted_already else in_order(queue))
        self.added.add(provider)
        for pending in added:
            if pending.action:
                self._remember(provider, pending)

    def _remember(self, provider: str, pending: Pending) -> None:
        performed = self.action(pending.action)
        if not isinstance(performed.action, ServiceListAction):
            return
        named = services_of(pending.request)
        asked = [Requested(provider, s.distributor, s.provider_service_id) for s in named]
        if pending.request.type is RequestType.BECOME_SUBSCRIBER:
            asked = [Requested(provider)]
        new = tuple([each for each in asked if each not in performed.requested])
        if new:
            self.change(replace(performed, requested=performed.requested + new))

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
        recreated: bool = False,
        correction: bool = False,
    ) -> None:
        """Removes the request from its queue.

        The action that created the request, if any, records the result as an Outcome.
        """
        link = self.links[provider]
        self.links[provider] = replace(
            link,
            confirmed=link.confirmed if confirmed is None else confirmed,
            queue=_without(link.queue, pending),
            settle_time=self.now,
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
        performed = self.performed.get(pending.action)
        if performed is not None:
            outcome = Outcome(provider, state, recreated, correction)
            self.change(replace(performed, outcomes=(*performed.outcomes, outcome)))

    def abandon(
        self, provider: str, pending: Pending, state: RequestState, *, recreated: bool = False
    ) -> None:
        """Ends a request without an answer.

        If the request was handed over, the elements that it names become uncertain.
        """
        confirmed = self.links[provider].confirmed
        if pending.touched:
            confirmed = doubt(confirmed, pending.request)
        self.finish(provider, pending, state, confirmed=confirmed, recreated=recreated)

    def is_pending(self, performed: UnsettledAction) -> bool:
        for link in self.links.values():
            for pending in link.queue:
                if pending.action == performed.id:
                    return True
        return False

    def put_back(self, provider: str, changed: Pending) -> None:
        """Stores `changed` in place of the pending request that has the same number."""
        link = self.links[provider]
        queue = tuple([changed if p.number == changed.number else p for p in link.queue])
        self.links[provider] = replace(link, queue=queue)

    def delivered(self, provider: str, unit: int) -> None:
        """Records that a request of the unit was handed over or answered."""
        link = self.links[provider]
        if unit > link.delivered_unit:
            self.links[provider] = replace(link, delivered_unit=unit)

    def action(self, number: int) -> UnsettledAction:
        """Returns the current value of the unsettled action with that number."""
        return self.performed[number]

    def change(self, changed: UnsettledAction) -> UnsettledAction:
        """Stores `changed` in place of the unsettled action that has the same id."""
        self.performed[changed.id] = changed
        return changed

    def change_action(
        self, number: int, change: Callable[[UnsettledAction], UnsettledAction]
    ) -> None:
        self.change(change(self.action(number)))

    def settle(self) -> None:
        """Applies each action that is settled now to `base`, in order, and removes it from the
        unsettled actions.
        """
        while self.performed:
            first = next(iter(self.performed.values()))
            if self.is_pending(first):
                return
            del self.performed[first.id]
            self.settled.append(first)
            if not self.performed:
                self.base = self.desired
            else:
                self.base = after(self.base, first, catalogues=self.catalogues)

    def transition(self) -> Transition:
        self.settle()
        created = self._number()
        links = tuple([self._synchronised(link) for link in self.links.values()])
        aggregate = Aggregate(
            desired=self.desired,
            base=self.base if self.performed else None,
            performed=tuple(self.performed.values()),
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
        if not self.added:
            return ()
        queues = [self.links[provider].queue for provider in self.added]
        count = sum([not pending.number for queue in queues for pending in queue])
        if not count:
            return ()
        number = self.circumstances.next_numbers(count)
        created = []
        for provider, link in self.links.items():
            if provider not in self.added:
                continue
            queue = list(link.queue)
            for n, pending in enumerate(queue):
                if not pending.number:
                    queue[n] = replace(pending, number=number)
                    created.append((provider, queue[n]))
                    number += 1
            self.links[provider] = replace(link, queue=tuple(queue))
        return tuple(created)

    def _synchronised(self, link: Link) -> Link:
        if self._differs(link):
            state = SyncState.OUT_OF_SYNC
        else:
            state = SyncState.PENDING if link.queue else SyncState.IN_SYNC
        if state is SyncState.IN_SYNC and (link.refused_correction or link.withheld):
            link = replace(link, refused_correction=False, withheld=())
        return link if link.sync_state is state else replace(link, sync_state=state)

    def _differs(self, link: Link) -> bool:
        """Tells whether the link is out of sync.

        If neither *expected* nor the state of the CRM has changed, the link is out of sync only if
        it was out of sync before the change. If there are usage records, *expected* and the state
        of the CRM are always compared, because usage records end by themselves. Changes of the
        provider cause no difference, because parts that are in use cannot change.
        """
        if link.provider in self.as_wanted:
            return False
        timeless = not (self.desired.usages or link.confirmed.usages)
        if timeless and self.desired is self.before.desired and link.provider in self.as_expected:
            return link.sync_state is SyncState.OUT_OF_SYNC
        catalogue = self.catalogues[link.provider]
        wanted = self.image(self.desired, catalogue)
        return bool(compare(self.expected(link.provider), wanted))

    def _action_changes(self) -> Iterator[ActionChange]:
        for performed in self.settled:
            yield self._action_change(performed, settled=True)
        for performed in self.performed.values():
            former = self.before.action(performed.id)
            if former is None or performed.error != former.error or performed.id in self.taken_back:
                yield self._action_change(performed, settled=False)

    def _action_change(self, performed: UnsettledAction, *, settled: bool) -> ActionChange:
        return ActionChange(
            performed=performed,
            settled=settled,
            taken_back=self.taken_back.get(performed.id),
        )


def _without(queue: tuple[Pending, ...], pending: Pending) -> tuple[Pending, ...]:
    """Returns the queue without the request. The loop is short, because the request is mostly near
    the beginning of the queue.
    """
    for n, other in enumerate(queue):
        if other is pending:
            return queue[:n] + queue[n + 1 :]
    return queue
