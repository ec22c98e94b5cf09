"""Defines the transaction of a group: commands replace values in memory, and `flush` writes the
changes in bulk.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from functools import partial

from msgspec.structs import replace

from ...domain.catalogue import Catalogue
from ...domain.lane import UNANSWERED, Lane, LaneChange, end
from ...domain.lease import LeaseEnd
from ...domain.subscription.aggregate import Aggregate
from ...domain.subscription.events import Event, EventKind, events_of
from ...domain.subscription.names_changed import names_certainly_unchanged
from ...domain.subscription.names_used import uses_named
from ...domain.subscription.records import ActionRecord, ActionState, ProviderRecord, revised
from ...domain.subscription.transition import ActionChange, Circumstances, Finished, Transition
from ...domain.values import Goods, Instant
from ..database import statements as sql
from ..database.documents import encode
from ..database.engine import DATABASE_ERRORS
from ..database.rows import action_row, provider_row, request_row
from ..memory.set_aside import Unprocessable
from ..memory.subscriptions import LoadedSubscription, names_after
from ..notices.tally import ACTIONS, CREATED, LOSSES, LOST
from .changes import Changes, changed_links


class Transaction(Changes):
    """The transaction in which the commands of a group run.

    The loaded records and lanes are immutable, so a command that is refused before it calls a `put`
    function has changed nothing.
    """

    def circumstances(self, subscription: str) -> Circumstances:
        return Circumstances(
            now=self.now,
            catalogues=self.catalogues,
            next_numbers=partial(self.numbers.next, "request"),
            leased=self.loaded[subscription].leased,
        )

    def take(self, counter: str) -> int:
        number = self.numbers.next(counter)
        self.numbers.give(counter)
        return number

    def put(
        self,
        subscription: str,
        transition: Transition,
        *,
        answered: bool = False,
        new_action: ActionRecord | None = None,
    ) -> ActionRecord | None:
        """Applies the transition to the subscription. Returns `new_action` as the transition has
        left it.

        `answered`: true if an answer with a live lease finished the first request of
        `transition.finished`. `new_action`: the action that the transition has performed, if it is
        not stored yet.
        """
        loaded = self._changed[subscription] = self.loaded[subscription]
        former = loaded.record.aggregate if loaded.record else None
        loaded.record = revised(loaded.record, transition.aggregate, now=self.now)
        self.events += events_of(former, transition)
        self._change_names(loaded, former, transition)
        self.numbers.give("request", len(transition.created))
        for _, link in changed_links(former, transition.aggregate):
            self._changed_lanes.add((link.provider, subscription))
        for provider, pending in transition.created:
            row = request_row(transition.aggregate, provider, pending)
            self._rows[sql.ADD_REQUEST][pending.number] = row
            self.notice.tally.counts[CREATED, provider, pending.request.type, pending.origin] += 1
        for n, finished in enumerate(transition.finished):
            self._settle_request(finished, loaded, answered=answered and n == 0)
            self.notice.tally.settle(finished, transition, now=self.now)
        put = None
        for change in transition.actions:
            if new_action is not None and change.performed.id == new_action.id:
                put = self.put_action(self._acted(new_action, change, transition))
            else:
                self._change_action(change)
        return put

    def _change_names(
        self, loaded: LoadedSubscription, former: Aggregate | None, transition: Transition
    ) -> None:
        if former is not None and names_certainly_unchanged(former, transition):
            return
        before = loaded.names or loaded.former_names()
        names = loaded.names = names_after(former, before, transition)
        # a report or a late answer may have named an item that another subscription had then, so
        # an item that the subscription gets now is perhaps not reserved although it was named
        if new := names.goods - before.goods | _items_got(former, transition.aggregate):
            # the owners of these items are not read yet if no command of the group names the items
            self._load_goods([goods for goods in new if not self._is_asked(goods)])
            self._take_free(new, loaded.number)

    def put_action(self, record: ActionRecord) -> ActionRecord:
        """Writes an action that is new, or that was scheduled until now."""
        scheduled = self.scheduled.get(record.subscription, {})
        former = scheduled.pop(record.id, None)
        statement = sql.END_SCHEDULE if former else sql.ADD_ACTION
        self._rows[statement][record.id] = action_row(record)
        if former and former.action:
            self._uses.subtract(uses_named(former.action))
        if record.state is ActionState.SCHEDULED and record.action:
            self._uses.update(uses_named(record.action))
            scheduled[record.id] = record
        elif record.settle_time:
            self.notice.settled.add(record.id)
        self.notice.tally.put_action(record)
        return record

    def put_lane(self, change: LaneChange) -> None:
        """Applies the change to the lane and to the subscription of the lane."""
        lane = change.lane
        if change.transition is not None:
            self.put(lane.subscription, change.transition, answered=change.answered)
        for pending in change.unanswered:
            # records how the last hand-over of the request ended
            self._rows[sql.TRY_REQUEST][pending.number] = {
                "number": pending.number,
                "error_code": pending.error_code,
                "error_description": pending.error_description,
                "attempts": pending.attempts,
                "last_adapter": lane.adapter,
                "last_delivery_time": lane.lease_start,
                "handover": UNANSWERED,
            }
        self.notice.freed[lane.stream] += change.freed
        if change.ran_out:
            self.notice.ran_out[lane.stream] += change.freed
        self.loaded[lane.subscription].lanes[lane.provider] = lane
        self._changed_lanes.add((lane.provider, lane.subscription))

    def end_lease(
        self,
        lane: Lane,
        cause: LeaseEnd,
        *,
        delay: int | None = None,
        error_code: str = "",
        error_description: str = "",
    ) -> None:
        change = end(
            lane,
            self.subscription(lane.subscription).aggregate,
            cause,
            circumstances=self.circumstances(lane.subscription),
            jitter=random.uniform(0.8, 1.2),
            delay=delay,
            error_code=error_code,
            error_description=error_description,
        )
        self.put_lane(change)
        if cause in LOSSES:
            self.notice.tally.counts[LOST, lane.provider, cause] += 1

    def _end_overdue(self, numbers: Iterable[str]) -> None:
        for number in numbers:
            try:
                for lane in list(self.loaded[number].lanes.values()):
                    if lane.overdue(server=self._memory.server, steady=self.steady, now=self.now):
                        self.end_lease(lane, LeaseEnd.RAN_OUT)
            except DATABASE_ERRORS:
                raise
            except Exception as error:
                # the error names the subscription, whichever command has loaded it
                raise Unprocessable(number) from error

    def put_provider(self, record: ProviderRecord) -> None:
        code, state = record.provider.code, record.provider.state
        if code in self.providers and state is not self.providers[code].provider.state:
            kind = EventKind.PROVIDER_STATE_CHANGED
            self.events.append(Event(kind, int(state), providers=(code,)))
        statement = sql.PUT_PROVIDER if code in self.providers else sql.ADD_PROVIDER
        self._rows[statement][code] = provider_row(record)
        self.providers = {**self.providers, code: record}
        self.catalogues = {**self.catalogues, code: Catalogue(record.provider)}

    def mark_reported(self, provider: str, subscription: str, *, report_time: Instant) -> None:
        """Records that a complete report, which began at `report_time`, has named the subscription.
        Of several such reports, only the report that began last is recorded.
        """
        key = provider, subscription
        former = self._rows[sql.MARK_REPORTED].get(key)
        if former is None or former["report_time"] < report_time:
            row = {"provider": provider, "subscription": subscription, "report_time": report_time}
            self._rows[sql.MARK_REPORTED][key] = row

    def reported(self, provider: str, subscriptions: Sequence[str], *, since: Instant) -> set[str]:
        """Returns which of the subscriptions a complete report that began at `since` or later has
        named.
        """
        self.flush()
        found = self._tables.select_in(sql.REPORT_TIMES, subscriptions)
        return {r.subscription for r in found if r.provider == provider and r.report_time >= since}

    def remember(self, request_id: str, *, created: str, digest: bytes) -> None:
        self.request_ids[request_id] = created, digest
        row = {"id": request_id, "created": created, "digest": digest}
        self._rows[sql.ADD_REQUEST_ID][request_id] = row

    def forget(self, request_id: str) -> None:
        """Forgets a call, because the object that the call created is deleted."""
        if request_id:
            self.flush()
            self.request_ids.pop(request_id, None)
            self._tables.write(sql.DROP_REQUEST_ID, [{"id": request_id}])

    def _settle_request(
        self, finished: Finished, loaded: LoadedSubscription, *, answered: bool
    ) -> None:
        pending, lane = finished.pending, loaded.lane(finished.provider)
        handed_over = lane.covers(pending)
        unanswered = UNANSWERED if pending.touched or handed_over else None
        self._rows[sql.SETTLE_REQUEST][pending.number] = {
            "number": pending.number,
            "state": int(finished.state),
            "settle_time": self.now,
            "error_code": finished.error_code,
            "error_description": finished.error_description,
            "reference_number": finished.reference_number,
            "attempts": pending.attempts + answered,
            "last_adapter": lane.adapter if handed_over else None,
            "last_delivery_time": lane.lease_start if handed_over else None,
            "handover": lane.handover if answered else unanswered,
        }

    def _acted(
        self, record: ActionRecord, change: ActionChange, transition: Transition
    ) -> ActionRecord:
        return replace(
            record,
            action=change.performed.action,
            state=change.state,
            settle_time=self.now if change.settled else None,
            error=change.performed.error,
            requests=tuple([p.number for _, p in transition.created if p.action == record.id]),
        )

    def _change_action(self, change: ActionChange) -> None:
        performed, state = change.performed, change.state
        if change.settled:
            self.notice.settled.add(performed.id)
            self.notice.tally.counts[ACTIONS, performed.action.kind, state] += 1
        former = self._rows[sql.CHANGE_ACTION].get(performed.id)
        taken_back = encode(change.taken_back) if change.taken_back else None
        self._rows[sql.CHANGE_ACTION][performed.id] = {
            "id": performed.id,
            "state": int(state),
            "settle_time": self.now if change.settled else None,
            "error": encode(performed.error) if performed.error else None,
            "taken_back": taken_back or (former["taken_back"] if former else None),
        }


def _items_got(former: Aggregate | None, aggregate: Aggregate) -> set[Goods]:
    """Returns the items that the subscription has now, in the CRM, and did not have before."""
    had = former.desired.items if former is not None else ()
    if aggregate.desired.items is had:
        return set()
    return {item.goods for item in aggregate.desired.items} - {item.goods for item in had}
