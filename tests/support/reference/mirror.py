"""Runs the service's pure functions and the model side by side."""

from __future__ import annotations

from collections.abc import Sequence

from generic_provider_server.domain.actions import AnyAction
from generic_provider_server.domain.platform.reported import Reported
from generic_provider_server.domain.refusals import Reason, Refused
from generic_provider_server.domain.subscription.due import next_end, usage_is_over
from generic_provider_server.domain.subscription.request_outcomes import end_usage
from generic_provider_server.domain.values import SECOND, Instant, Provider

from ..life import Life, Lost
from .books import COMPLETED, Req
from .model import Model
from .platform import current
from .state import NotAllowed
from .told import image_of, order, parts, plain, subscription, told_end, told_image


class Deviation(Exception):
    """Says that the service and the model differ."""


class Mirror(Life):
    def __init__(self, providers: Sequence[Provider]) -> None:
        super().__init__(providers)
        self.model = Model(providers, self.now)
        self.reqs: dict[int, Req] = {}
        self.doing = ""

    def same(self, what: str, service: object, model: object) -> None:
        if service != model:
            raise Deviation(
                f"{what}\n    in {self.doing}\n    service: {service}\n    model:   {model}"
            )

    def perform(self, action: AnyAction, *, automatic: bool = False) -> int:
        refused: Refused | None = None
        self.doing = str(action)
        try:
            id_ = super().perform(action, automatic=automatic)
        except Refused as error:
            refused, id_ = error, 0
        try:
            self.model.perform(action, self.next_action - 1, automatic=automatic)
        except NotAllowed as why:
            if not refused:
                raise Deviation(f"{action}: the model refuses, {why}") from why
            raise refused from None
        if refused:
            raise Deviation(f"{action}: the service refuses, {refused}")
        self.compare()
        return id_

    def lease(self, provider: str, *, most: int = 100) -> None:
        super().lease(provider, most=most)
        for pending in self.leases[provider].requests:
            self.reqs[pending.number].leased = True

    def accept(self, provider: str) -> int:
        self.doing = f"accept {provider}"
        number = super().accept(provider)
        self.model.accept(self.reqs[number])
        self.compare()
        return number

    def reject(self, provider: str) -> int:
        self.doing = f"reject {provider}"
        for pending in self.leases[provider].requests:
            self.reqs[pending.number].leased = False
        number = super().reject(provider)
        self.model.reject(self.reqs[number])
        self.compare()
        return number

    def lose(self, provider: str, *, counted: bool = False) -> None:
        self.doing = f"lose {provider}"
        reqs = [self.reqs[pending.number] for pending in self.leases[provider].requests]
        super().lose(provider, counted=counted)
        self.model.lose(reqs)
        if counted:
            self.model.count_attempt(provider, self.model.links[provider].queue[0])
        self.compare()

    def withdraw(self, provider: str) -> None:
        for pending in self.leases[provider].requests:
            self.reqs[pending.number].leased = False
        super().withdraw(provider)

    def come_late(self, lost: Lost) -> None:
        self.doing = f"come_late {lost.provider}"
        req = self.reqs[lost.pending.number]
        names = req.order.names
        if req.state is COMPLETED:
            last = max(
                n for n, (*_, p) in enumerate(self.handed) if p.number == lost.pending.number
            )
            later = [
                self.reqs[p.number].order.names
                for _, provider, p in self.handed[last + 1 :]
                if provider == lost.provider
            ]
            names = names & set().union(*later)
        super().come_late(lost)
        self.model.come_late(req, names)
        self.compare()

    def cancel(self, number: int) -> None:
        self.doing = f"cancel {number}"
        super().cancel(number)
        self.model.reject(self.reqs[number], Reason.CANCELLED_BY_OPERATOR)
        self.compare()

    def resolve(self, number: int) -> None:
        self.doing = f"resolve {number}"
        super().resolve(number)
        req = self.reqs[number]
        if number in self.done:
            self.model.accept(req)
        else:
            self.model.reject(req)
        self.compare()

    def overdue(self, provider: str) -> bool:
        self.doing = f"overdue {provider}"
        told = super().overdue(provider)
        self.same("overdue", told, self.model.overdue(provider))
        return told

    def expire(self, provider: str) -> None:
        self.doing = f"expire {provider}"
        super().expire(provider)
        self.model.expire(provider)
        self.compare()

    def wait(self, seconds: int) -> None:
        self.now = Instant(self.now + seconds * SECOND)
        self.model.now = self.now
        if usage_is_over(self.there, now=self.now):
            self._take(end_usage(self.there, circumstances=self.circumstances))
        self.model.end_usage()
        self.compare()
        while True:
            end, due = next_end(self.desired, now=self.now), self.model.next_end()
            self.same("due", told_end(end), told_end(due))
            if end is None:
                return
            self.perform(end, automatic=True)

    def change(self, provider: Provider) -> None:
        super().change(provider)
        self.model.providers[provider.code] = provider

    def reset(self, provider: str, *, full: bool = False, recreate: bool = False) -> None:
        self.doing = f"reset {provider} {full} {recreate}"
        super().reset(provider, full=full, recreate=recreate)
        self.model.reset(provider, full=full, recreate=recreate)
        self.compare()

    def report(
        self, provider: str, held: Reported | None, *, observed_time: Instant | None = None
    ) -> bool:
        """Reports to the service, and copies the resulting *confirmed* into the model, which cannot
        read reports.
        """
        self.doing = f"report {provider}"
        applied = super().report(provider, held, observed_time=observed_time)
        if applied:
            self.model.take_over_report(provider, image_of(self.link(provider).confirmed))
            self.compare()
        return applied

    def compare(self) -> None:
        """Raises Deviation at the first difference."""
        assert self.model.desired
        for code in self.catalogues:
            self._compare_queue(code)
        shown = subscription(self.desired, self.now), plain(self.model.desired, self.now)
        self.same("desired", *shown)
        for code, mine in self.model.links.items():
            if link := self.there.link(code):
                confirmed = [image_of(link.confirmed), mine.confirmed]
                images = [told_image(current(each, self.now)) for each in confirmed]
                self.same(f"confirmed of {code}", images[0], images[1])
                self.same(f"sync of {code}", link.sync_state, self.model.sync_state(code))
        for number, final in self.finals.items():
            self.same(f"request {number}", final.state, self.reqs[number].state)
        for number in self.changes:
            self._compare_action(number)

    def _compare_queue(self, code: str) -> None:
        link, mine = self.there.link(code), self.model.links[code].queue
        queue = link.queue if link else ()
        told = [(order(p.request), p.origin.name, p.action) for p in queue]
        meant = [(r.order, r.origin.name, r.act.id if r.act else 0) for r in mine]
        self.same(f"queue of {code}", told, meant)
        for pending, req in zip(queue, mine, strict=True):
            self.same("identity", self.reqs.setdefault(pending.number, req), req)

    def _compare_action(self, number: int) -> None:
        change, act = self.changes[number], self.model.everything[number]
        told = change.performed.undone, change.settled, parts(change.performed)
        taken_back = [] if act.whole else sorted(act.taken_back, key=repr)
        self.same(f"action {number}", told, (act.whole, act.settled, taken_back))
        error = change.performed.error
        noted = error is None or error.reason is Reason.CHANGED_BY_ROLLBACK
        self.same(f"error of {number}", None if noted or not error else error.reason, act.error)
