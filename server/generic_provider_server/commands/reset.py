"""Resets platforms to the state of the CRM."""

from __future__ import annotations

from msgspec.structs import replace

from ..domain.catalogue import catalogue_of
from ..domain.refusals import Reason, Refused, not_effective
from ..domain.subscription.aggregate import Aggregate
from ..domain.subscription.records import Who
from ..domain.subscription.request_records import RequestRecord
from ..domain.subscription.reset import plan_reset
from ..domain.values import Value
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction
from .perform import created_requests
from .repeats import created_before

CREATED = "requests:"
"""The text that is stored for the `request_id` of a reset begins with this word. The numbers of the
created requests follow.
"""


class ResetDone(Value, frozen=True):
    """The requests that a reset created.

    `left_out`: providers that were skipped although they serve the subscription. `numbers`: if the
    call is a repeat, the numbers of the requests that the earlier call created.
    """

    requests: tuple[RequestRecord, ...] = ()
    left_out: tuple[str, ...] = ()
    numbers: tuple[int, ...] | None = None


class ResetSubscription(Value, frozen=True, kw_only=True):
    """Resets one subscription.

    `provider`: the provider at which the subscription is reset. If `provider` is empty, the
    subscription is reset at every effective provider that serves the subscription, but with
    `recreate` not at providers with leased requests of the subscription. `digest`: the digest of
    the call; a repeat has the same digest.
    """

    subscription: str
    digest: bytes
    provider: str = ""
    full: bool = False
    recreate: bool = False
    validate_only: bool = False
    request_id: str = ""
    who: Who = Who()

    def needs(self) -> Needs:
        return Needs(
            subscriptions=frozenset({self.subscription}),
            request_ids=frozenset({self.request_id} if self.request_id else ()),
        )

    def run(self, transaction: Transaction) -> ResetDone:
        repeatable = self.request_id and not self.validate_only
        if repeatable and (created := created_before(transaction, self.request_id, self.digest)):
            numbers = created.removeprefix(CREATED).split(",")
            return ResetDone(numbers=tuple([int(number) for number in numbers if number]))
        aggregate = transaction.subscription(self.subscription).aggregate
        requests: list[RequestRecord] = []
        left_out = []
        for provider in self._providers(transaction, aggregate):
            refusal = self._refusal(transaction, provider)
            if refusal is None:
                aggregate, created_here = self._reset(transaction, aggregate, provider)
                requests += created_here
            elif self.provider:
                raise refusal
            else:
                left_out.append(provider)
        if repeatable:
            numbers = [str(request.number) for request in requests]
            transaction.remember(
                self.request_id, created=CREATED + ",".join(numbers), digest=self.digest
            )
        return ResetDone(tuple(requests), tuple(left_out))

    def _providers(self, transaction: Transaction, aggregate: Aggregate) -> tuple[str, ...]:
        if not self.provider:
            return tuple([link.provider for link in aggregate.links])
        catalogue_of(transaction.catalogues, self.provider)
        if aggregate.link(self.provider) is None:
            raise Refused(
                Reason.PROVIDER_NOT_FOUND,
                f"provider {self.provider} does not serve subscription {self.subscription}",
                provider=self.provider,
                subscription=self.subscription,
            )
        return (self.provider,)

    def _refusal(self, transaction: Transaction, provider: str) -> Refused | None:
        if not transaction.catalogues[provider].effective:
            return not_effective(provider)
        lane = transaction.lane(provider, self.subscription)
        if self.recreate and lane.is_leased:
            return Refused(
                Reason.REQUEST_LEASED,
                f"requests of subscription {self.subscription} are leased by adapter "
                f"{lane.adapter}; try again when they are answered",
                subscription=self.subscription,
                provider=provider,
                adapter=lane.adapter,
            )
        return None

    def _reset(
        self, transaction: Transaction, aggregate: Aggregate, provider: str
    ) -> tuple[Aggregate, tuple[RequestRecord, ...]]:
        planned = plan_reset(
            aggregate,
            provider,
            circumstances=transaction.circumstances(self.subscription),
            full=self.full,
            recreate=self.recreate,
        )
        change = planned.transition(performed_by=self.who.performed_by)
        if not self.validate_only and change.aggregate != aggregate:
            transaction.put(self.subscription, change)
        requests = created_requests(transaction, change)
        if self.validate_only:
            requests = tuple([replace(request, number=0) for request in requests])
        return change.aggregate, requests
