"""Creates and changes providers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from ..domain.catalogue import catalogue_of, check_complete, check_provider
from ..domain.refusals import Reason, Refused
from ..domain.subscription.names_used import Use
from ..domain.subscription.records import ProviderRecord, Who
from ..domain.values import Distributor, Provider, ProviderState, Service, Value
from ..store.database.engine import Overtaken
from ..store.write.loaded import Needs
from ..store.write.transaction import Transaction
from .repeats import created_before


class CreateProvider(Value, frozen=True, kw_only=True):
    provider: Provider
    digest: bytes
    request_id: str = ""
    who: Who = Who()

    def needs(self) -> Needs:
        return Needs(
            set_up=True, request_ids=frozenset({self.request_id} if self.request_id else ())
        )

    def run(self, transaction: Transaction) -> ProviderRecord:
        code = self.provider.code
        if self.request_id and created_before(transaction, self.request_id, self.digest):
            if code not in transaction.providers:
                raise Overtaken(f"provider {code} was created in the meantime")
            return provider_record(transaction, code)
        if code in transaction.catalogues:
            raise Refused(Reason.PROVIDER_EXISTS, f"provider {code} exists already", provider=code)
        check_provider(self.provider)
        record = ProviderRecord(
            provider=replace(self.provider, state=ProviderState.NOT_EFFECTIVE),
            create_time=transaction.now,
            update_time=transaction.now,
            etag=1,
            who=self.who,
        )
        transaction.put_provider(record)
        if self.request_id:
            transaction.remember(self.request_id, created=code, digest=self.digest)
        return record


class UpdateProvider(Value, frozen=True, kw_only=True):
    """Changes a provider.

    The command runs after the other commands of the group, because those commands may begin to use
    a part of the provider that this command would remove or change.
    """

    provider: Provider
    etag: int | None
    who: Who = Who()

    def needs(self) -> Needs:
        return Needs(searches=True, set_up=True)

    def run(self, transaction: Transaction) -> ProviderRecord:
        code = self.provider.code
        former = provider_record(transaction, code)
        if self.etag not in (None, former.etag):
            raise Refused(
                Reason.ETAG_MISMATCH,
                f"provider {code} was changed meanwhile: read it again",
                provider=code,
                etag=str(former.etag),
            )
        provider = replace(self.provider, state=former.provider.state)
        if provider == former.provider:
            return former
        check_provider(provider)
        if provider.state is ProviderState.EFFECTIVE:
            check_complete(provider)
        _check_unused(transaction, former.provider, provider)
        record = _changed(transaction, former, provider, who=self.who)
        transaction.put_provider(record)
        return record


class SetProviderState(Value, frozen=True, kw_only=True):
    provider: str
    state: ProviderState
    who: Who = Who()

    def needs(self) -> Needs:
        return Needs(searches=True, set_up=True)

    def run(self, transaction: Transaction) -> ProviderRecord:
        former = provider_record(transaction, self.provider)
        if former.provider.state is self.state:
            return former
        provider = replace(former.provider, state=self.state)
        if self.state is ProviderState.EFFECTIVE:
            check_complete(provider)
        record = _changed(transaction, former, provider, who=self.who)
        transaction.put_provider(record)
        transaction.notice.add_ready(self.provider, 0)
        return record


def _changed(
    transaction: Transaction, former: ProviderRecord, provider: Provider, *, who: Who
) -> ProviderRecord:
    return replace(
        former, provider=provider, update_time=transaction.now, etag=former.etag + 1, who=who
    )


def provider_record(transaction: Transaction, code: str) -> ProviderRecord:
    catalogue_of(transaction.catalogues, code)
    return transaction.providers[code]


def _check_unused(transaction: Transaction, former: Provider, provider: Provider) -> None:
    """Raises PartInUse if a changed part of the provider is in use, and may not change while it is
    in use.
    """
    uses = transaction.uses(provider.code)
    for thing, what, verb in changed_things(former, provider):
        if uses.get(thing):
            raise PartInUse(
                f"{what} cannot be {verb}, because subscriptions or scheduled actions of provider "
                f"{provider.code} use it ({uses[thing]} in all)",
                use=(provider.code, thing),
                thing=what,
                count=uses[thing],
            )


class PartInUse(Refused):
    """A change of the provider is refused, because subscriptions or scheduled actions use a part
    that the change would remove or alter.

    `use`: the provider and the part. `thing`: a text that names the part for people. `count`: the
    number of the subscriptions and actions.
    """

    def __init__(self, message: str, *, use: Use, thing: str, count: int) -> None:
        super().__init__(
            Reason.PROVIDER_IN_USE, message, provider=use[0], thing=thing, count=str(count)
        )
        self.use = use
        self.thing = thing
        self.count = count


class ChangedThing(NamedTuple):
    """A part of a provider that a change names, a text that names the part for people, and what
    happens to the part: `changed` or `removed`.
    """

    thing: str
    what: str
    verb: str = "changed"


def changed_things(former: Provider, provider: Provider) -> Iterator[ChangedThing]:
    """Yields the changes that are allowed only while no subscription and no scheduled action uses
    the changed part.
    """
    if former.request_settings.term_end_on_platform != (
        provider.request_settings.term_end_on_platform
    ):
        yield ChangedThing("*", "term_end_on_platform")
    distributors = {d.code: d for d in provider.distributors}
    for old in former.distributors:
        yield from _changed_distributor(old, distributors.get(old.code), former)
    services = {s.code: s for s in provider.services}
    for service in former.services:
        yield from _changed_service(service, services.get(service.code))
    goods = {g.goods_type: g.provider_goods_type for g in provider.goods}
    for mapping in former.goods:
        if goods.get(mapping.goods_type) != mapping.provider_goods_type:
            verb = "changed" if mapping.goods_type in goods else "removed"
            yield ChangedThing(f"g:{mapping.goods_type}", f"goods type {mapping.goods_type}", verb)


def _changed_distributor(
    old: Distributor, new: Distributor | None, former: Provider
) -> Iterator[ChangedThing]:
    thing, what = f"d:{old.code}", f"distributor {old.code}"
    if new is None:
        yield ChangedThing(thing, what, "removed")
        return
    if old.required_distributor != new.required_distributor:
        yield ChangedThing(thing, f"required_distributor of {what}")
    if old.required_goods_types != new.required_goods_types:
        yield ChangedThing(thing, f"required_goods_types of {what}")
    if new.max_services is not None and (
        old.max_services is None or new.max_services < old.max_services
    ):
        yield ChangedThing(thing, f"max_services of {what}")
    if new.allowed_services:
        allowed = frozenset(new.allowed_services)
        offered = old.allowed_services or tuple([s.code for s in former.services])
        for service in offered:
            if service not in allowed:
                yield ChangedThing(
                    f"{thing}/s:{service}", f"service {service} on {what}", "removed"
                )


def _changed_service(old: Service, new: Service | None) -> Iterator[ChangedThing]:
    thing, what = f"s:{old.code}", f"service {old.code}"
    if new is None:
        yield ChangedThing(thing, what, "removed")
        return
    for name in ("provider_service_id", "kind", "required_service"):
        if getattr(old, name) != getattr(new, name):
            yield ChangedThing(thing, f"{name} of {what}")
