"""Defines the ledger: a mutable copy of an aggregate. Each function that changes a subscription
computes its change on a ledger of its own.

`Ledger.transition` returns the result as a frozen value.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from msgspec.structs import replace

from ..catalogue import Catalogue
from ..platform.compare import compare
from ..platform.doubt import doubt
from ..platform.image import NOTHING, PlatformImage, image, unexpired
from ..values import RequestState, Subscription, SyncState
from .aggregate import Aggregate, Link
from .expected import Fold, expected_of
from .pending_requests import Pending, in_order
from .state_after import after
from .transition import ActionChange, Circumstances, Finished, Transition
from .undone import Undone
from .unsettled_actions import Outcome, UnsettledAction


class Ledger:
    """A mutable copy of an aggregate. Each function that computes a change makes its own copy, so
    the function stays pure.

    `as_expected`: the providers at which *expected* is the same as before the change. `as_wanted`:
    the providers at which *expected* is what the CRM wants, because the new requests were planned
    from the state of the CRM. `added`: the providers that get new requests.
    """

    __slots__ = (
        "_folds",
        "_former_actions",
        "_former_links",
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
        self._former_actions = {performed.id: performed for performed in aggregate.performed}
        self._former_links = {link.provider: link for link in aggregate.links}
        self.performed = dict(self._former_actions)
        self.links = dict(self._former_links)
        self.next_unit = aggregate.next_unit
        self.finished: list[Finished] = []
        self.settled: list[UnsettledAction] = []
        self.taken_back: dict[int, tuple[Undone, ...]] = {}
        self.added: set[str] = set()
        self.as_expected: set[str] = set()
        self.as_wanted: set[str] = set()
        self._images: dict[tuple[int, str], tuple[Subscription, PlatformImage]] = {}
        self._folds: dict[str, Fold] = {}

    def new_unit(self) -> int:
        self.next_unit += 1
        return self.next_unit - 1

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
        link = self.links[provider]
        if not link.queue:
            return unexpired(link.confirmed, now=self.now)
        return expected_of(link, now=self.now, before_unit=before_unit, folds=self._folds)

    def leased(self, provider: str) -> AbstractSet[int]:
        """Returns the numbers of the requests that the live lease at the provider covers."""
        return self.circumstances.leased(provider)

    def add(self, provider: str, added: Sequence[Pending]) -> None:
        """Adds new requests to the queue in the order of their units."""
        if not added:
            return
        link = self.links[provider]
        queue = (*link.queue, *added)
        sorted_already = not link.queue or link.queue[-1].unit <= added[0].unit
        self.links[provider] = replace(link, queue=queue if sorted_already else in_order(queue))
        self.added.add(provider)

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
        delivered: bool = False,
    ) -> None:
        """Removes the request from its queue.

        The action that created the request, if any, records the result as an Outcome. `delivered`
        is True if the platform has answered.
        """
        link = self.links[provider]
        queue, place = link.queue, link.queue.index(pending)
        unit = max(link.delivered_unit, pending.unit) if delivered else link.delivered_unit
        self.links[provider] = replace(
            link,
            confirmed=link.confirmed if confirmed is None else confirmed,
            queue=queue[:place] + queue[place + 1 :],
            delivered_unit=unit,
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
            outcomes = (*performed.outcomes, outcome)
            self.performed[performed.id] = replace(performed, outcomes=outcomes)

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
        """Stores `changed`, a request that was handed over, in place of the pending request that
        has the same number. *expected* stays the same, because `changed` has the same effect.
        """
        link = self.links[provider]
        queue = tuple([changed if p.number == changed.number else p for p in link.queue])
        unit = max(link.delivered_unit, changed.unit)
        self.links[provider] = replace(link, queue=queue, delivered_unit=unit)
        self.as_expected.add(provider)

    def change(self, changed: UnsettledAction) -> UnsettledAction:
        """Stores `changed` in place of the unsettled action that has the same id."""
        self.performed[changed.id] = changed
        return changed

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
        created = self._number() if self.added else ()
        self._synchronise()
        aggregate = Aggregate(
            desired=self.desired,
            base=self.base if self.performed else None,
            performed=tuple(self.performed.values()),
            links=tuple(self.links.values()),
            next_unit=self.next_unit,
        )
        return Transition(
            aggregate=aggregate,
            created=created,
            finished=tuple(self.finished),
            actions=self._action_changes(),
        )

    def _number(self) -> tuple[tuple[str, Pending], ...]:
        """Gives each new request its number. Returns the new requests with their providers."""
        count = 0
        for provider in self.added:
            for pending in self.links[provider].queue:
                count += not pending.number
        number = self.circumstances.next_numbers(count) if count else 0
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

    def _synchronise(self) -> None:
        """Sets the sync state of each link.

        If neither *expected* nor the state of the CRM has changed, the link is out of sync only if
        it was out of sync before the change. If there are usage records, *expected* and the state
        of the CRM are always compared, because usage records end by themselves. If only pending
        requests name usage records, the ends of these records can only remove differences. Changes
        of the provider cause no difference, because parts that are in use cannot change.
        """
        same_wanted = self.desired is self.before.desired and not self.desired.usages
        for provider, link in self.links.items():
            same = link is self._former_links.get(provider) or provider in self.as_expected
            if provider in self.as_wanted:
                differs = False
            elif same and same_wanted and not link.confirmed.usages and not _may_be_over(link):
                differs = link.sync_state is SyncState.OUT_OF_SYNC
            else:
                wanted = self.image(self.desired, self.catalogues[provider])
                differs = bool(compare(self.expected(provider), wanted))
            state = SyncState.PENDING if link.queue else SyncState.IN_SYNC
            if differs:
                state = SyncState.OUT_OF_SYNC
            if state is not link.sync_state:
                self.links[provider] = replace(link, sync_state=state)
            if (link.refused_correction or link.withheld) and state is SyncState.IN_SYNC:
                cleared = replace(self.links[provider], refused_correction=False, withheld=())
                self.links[provider] = cleared

    def _action_changes(self) -> tuple[ActionChange, ...]:
        """Returns the actions that are settled, new, taken back or have another error."""
        changes = []
        for performed in (*self.settled, *self.performed.values()):
            settled = performed.id not in self.performed
            former = self._former_actions.get(performed.id)
            taken_back = self.taken_back.get(performed.id)
            changed = former is None or taken_back is not None or performed.error != former.error
            if settled or changed:
                changes.append(
                    ActionChange(
                        performed=performed, former=former, settled=settled, taken_back=taken_back
                    )
                )
        return tuple(changes)


def _may_be_over(link: Link) -> bool:
    """Tells whether the link is out of sync, and the end of a usage record in a pending request may
    have removed the difference.
    """
    return link.sync_state is SyncState.OUT_OF_SYNC and any(
        pending.request.usage is not None for pending in link.queue
    )
