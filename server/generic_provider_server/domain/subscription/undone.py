"""Lists the parts of an action that a rollback took back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import TypeVar

from msgspec.structs import replace

from ..values import Account, Address, Item, State, SubscribedService, Subscription, Usage, Value

Element = TypeVar("Element", Item, Usage)
_SERIAL, _REFERENCE = attrgetter("serial_number"), attrgetter("reference")


class Undone(Value, frozen=True, kw_only=True):
    """One part of a subscription that was taken back. The values of the part are its values after
    the rollback.

    Exactly one field besides `provider` and `gone` is set. `link` is True if the provider does not
    serve the subscription any more. `gone` is True if the rollback has removed a service, item or
    usage record that the action had added; False if the rollback has restored a former value. A
    removed service has the state REMOVED.
    """

    provider: str = ""
    service: SubscribedService | None = None
    item: Item | None = None
    holder: Account | None = None
    address: Address | None = None
    usage: Usage | None = None
    state: State | None = None
    link: bool = False
    gone: bool = False


def undone(applied: Subscription, restored: Subscription) -> tuple[Undone, ...]:
    """Returns the differences between `applied`, the state after the whole action, and `restored`,
    the state after the action without the parts that were taken back.
    """
    return tuple(_differences(applied, restored))


def _differences(applied: Subscription, restored: Subscription) -> Iterator[Undone]:
    if applied.state is not restored.state:
        yield Undone(state=restored.state)
    for provider in applied.linked:
        if provider not in restored.linked:
            yield Undone(provider=provider, link=True)
    if applied.holder != restored.holder:
        yield Undone(holder=restored.holder)
    if applied.address != restored.address:
        yield Undone(address=restored.address)
    there = {service.place: service for service in restored.services}
    former = {service.place: service for service in applied.services}
    for service in restored.services:
        if former.get(service.place) != service:
            yield Undone(provider=service.provider, service=service)
    for service in applied.services:
        if service.place not in there:
            removed = replace(service, state=State.REMOVED)
            yield Undone(provider=service.provider, service=removed, gone=True)
    for item, gone in _either(applied.items, restored.items, name=_SERIAL):
        yield Undone(provider=item.provider, item=item, gone=gone)
    for usage, gone in _either(applied.usages, restored.usages, name=_REFERENCE):
        yield Undone(provider=usage.provider, usage=usage, gone=gone)


def _either(
    ones: tuple[Element, ...], others: tuple[Element, ...], *, name: Callable[[Element], str]
) -> list[tuple[Element, bool]]:
    """Returns the elements that are only in `ones`, each with True, then the elements that are only
    in `others`, each with False. `name`: returns a string that is the same for equal elements.
    """
    gone = [(each, True) for each in _new(ones, others, name)]
    return gone + [(each, False) for each in _new(others, ones, name)]


def _new(
    elements: tuple[Element, ...], others: tuple[Element, ...], name: Callable[[Element], str]
) -> list[Element]:
    """Returns the elements that are not in `others`. Compares only elements with the same name,
    because a subscription may have very many items, and many unsettled actions.
    """
    there = defaultdict[str, list[Element]](list)
    for other in others:
        there[name(other)].append(other)
    return [each for each in elements if each not in there[name(each)]]
