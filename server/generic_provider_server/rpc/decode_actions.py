"""Decodes the actions in the messages of callers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from generic_provider.v1 import subscription_service_pb2 as api

from ..commands.perform import Perform
from ..commands.scheduled import Schedule
from ..domain import actions as a
from ..domain.values import Goods, Instant, Priority, State
from .call_digest import contents_of, digest
from .checks import CALLERS_ID, NAME, Checks
from .decode_parts import MOST_PARTS, account, address, items, selections
from .incoming import IncomingCall

LARGEST = 2**63 - 1
MOST_BYTES = 512 * 1024
"""The greatest size in bytes of an action. Larger actions would make the document of a subscription
too large.
"""
LATER = Instant(0)
"""The value in place of a missing or wrong instant. The value is never used, because `Checks.done`
raises the violations first.
"""


def perform_of(
    request: api.PerformActionRequest, call: IncomingCall, *, with_requests: bool
) -> Perform | Schedule:
    """Returns the command that performs or schedules the action.

    `with_requests`: true if the result of the command contains the requests. Raises InvalidField
    with all violations of the message.
    """
    checks = Checks()
    kind = request.WhichOneof("action")
    if kind is None:
        checks.wrong("action", "is required: one of become_subscriber, activate, …, replace")
    if kind != "become_subscriber":
        checks.code("subscription", request.subscription)
    priority = checks.enum("priority", request.priority, default=Priority.LIVE)
    expected = request.expected_revision if request.HasField("expected_revision") else None
    contents = contents_of(request)
    checks.size(kind or "action", len(contents), most=MOST_BYTES)
    perform = Perform(
        action=_action(checks, request, kind) if kind else a.Activate(),
        subscription=checks.text("subscription", request.subscription),
        original=contents,
        digest=digest(contents, of="PerformAction"),
        request_id=checks.text("request_id", request.request_id, most=CALLERS_ID),
        reference=checks.text("reference", request.reference, most=NAME),
        who=call.who(checks, request.performed_by),
        expected_revision=expected,
        bulk=priority is Priority.BULK,
        validate_only=request.validate_only,
        with_requests=with_requests,
    )
    time = checks.instant("schedule_time", request)
    checks.done()
    if time is None:
        return perform
    bulk = request.priority != api.PRIORITY_LIVE
    return Schedule(perform=perform, time=time, bulk=bulk)


def _action(checks: Checks, request: api.PerformActionRequest, kind: str) -> a.AnyAction:
    message = getattr(request, kind)
    if kind == "become_subscriber":
        return _become(checks, message, request.subscription)
    return READ[kind](checks, kind, message)


def _become(checks: Checks, message: api.BecomeSubscriber, number: str) -> a.AnyAction:
    field = "become_subscriber"
    checks.count(f"{field}.existing", message.existing, most=MOST_PARTS)
    checks.once(
        f"{field}.existing", (each.provider for each in message.existing), what="a provider"
    )
    return a.BecomeSubscriber(
        number=number,
        type=checks.code(f"{field}.type", message.type),
        provider=checks.text(f"{field}.provider", message.provider),
        holder=account(checks, f"{field}.holder", message.holder),
        address=address(checks, f"{field}.address", message.address),
        items=items(checks, f"{field}.items", message.items),
        services=selections(checks, f"{field}.services", message.services),
        draft=message.draft,
        existing=checks.each(f"{field}.existing", message.existing, _existing),
    )


def _existing(checks: Checks, field: str, message: api.ExistingAccount) -> a.Existing:
    return a.Existing(
        provider=checks.code(f"{field}.provider", message.provider),
        account_number=checks.code(f"{field}.account_number", message.account_number),
        holds_everything=message.holds_everything,
    )


def _until(kind: Callable[[Instant], a.AnyAction]) -> Callable[[Checks, str, Any], a.AnyAction]:
    def read(checks: Checks, field: str, message: Any) -> a.AnyAction:
        return kind(checks.instant(f"{field}.until", message, required=True) or LATER)

    return read


def _plain(kind: Callable[[], a.AnyAction]) -> Callable[[Checks, str, Any], a.AnyAction]:
    return lambda _checks, _field, _message: kind()


def _services(
    kind: Callable[[tuple[a.Selection, ...]], a.AnyAction], *, terms: bool
) -> Callable[[Checks, str, Any], a.AnyAction]:
    def read(checks: Checks, field: str, message: Any) -> a.AnyAction:
        at = f"{field}.services"
        checks.count(at, message.services, least=1, most=MOST_PARTS)
        without_terms = () if terms else message.services
        for n, selection in enumerate(without_terms):
            if selection.HasField("term_end"):
                checks.wrong(
                    f"{at}[{n}].term_end",
                    "is not allowed in this action; change_terms changes term ends",
                )
        return kind(selections(checks, at, message.services))

    return read


def _change_terms(checks: Checks, field: str, message: api.ChangeTerms) -> a.AnyAction:
    named = ((each.provider, each.distributor, each.service) for each in message.services)
    checks.once(f"{field}.services", named, what="a service")
    return _services(a.ChangeTerms, terms=True)(checks, field, message)


def _swap_service(checks: Checks, field: str, message: api.SwapService) -> a.AnyAction:
    return a.SwapService(
        provider=checks.text(f"{field}.provider", message.provider),
        distributor=checks.code(f"{field}.distributor", message.distributor),
        old_service=checks.code(f"{field}.old_service", message.old_service),
        new_service=checks.code(f"{field}.new_service", message.new_service),
        term_end=checks.instant(f"{field}.term_end", message),
    )


def _add_items(checks: Checks, field: str, message: api.AddItems) -> a.AnyAction:
    checks.count(f"{field}.items", message.items, least=1, most=MOST_PARTS)
    return a.AddItems(items(checks, f"{field}.items", message.items))


def _remove_items(checks: Checks, field: str, message: api.RemoveItems) -> a.AnyAction:
    serials = message.serial_numbers
    checks.count(f"{field}.serial_numbers", serials, least=1, most=MOST_PARTS)
    checks.once(f"{field}.serial_numbers", serials, what="a serial number")
    return a.RemoveItems(
        serial_numbers=checks.each(f"{field}.serial_numbers", serials, Checks.code),
        goods_type=checks.text(f"{field}.goods_type", message.goods_type),
        provider=checks.text(f"{field}.provider", message.provider),
        distributor=checks.text(f"{field}.distributor", message.distributor),
    )


def _swap_item(checks: Checks, field: str, message: api.SwapItem) -> a.AnyAction:
    new, at = message.new_item, f"{field}.new_item"
    return a.SwapItem(
        old_serial_number=checks.code(f"{field}.old_serial_number", message.old_serial_number),
        goods_type=checks.text(f"{field}.goods_type", message.goods_type),
        new_serial_number=checks.code(f"{at}.serial_number", new.serial_number),
        new_goods_type=checks.text(f"{at}.goods_type", new.goods_type),
        provider=checks.text(f"{at}.provider", new.provider),
        distributor=checks.text(f"{at}.distributor", new.distributor),
        parameters=checks.parameters(f"{at}.parameters", new.parameters),
    )


def _change_distribution(
    checks: Checks, field: str, message: api.ChangeDistribution
) -> a.AnyAction:
    checks.count(f"{field}.moves", message.moves, least=1, most=MOST_PARTS)
    moves = checks.each(f"{field}.moves", message.moves, _move)
    moved = ((m.provider, m.from_distributor, m.service, m.goods) for m in moves)
    checks.once(f"{field}.moves", moved, what="a service or an item")
    return a.ChangeDistribution(moves)


def _move(checks: Checks, field: str, message: api.ChangeDistribution.Move) -> a.Move:
    moved = message.WhichOneof("moved")
    if moved is None:
        checks.wrong(field, "needs a service or a serial_number")
    elif not getattr(message, moved):
        checks.wrong(f"{field}.{moved}", "is required")
    serial = checks.text(f"{field}.serial_number", message.serial_number)
    return a.Move(
        provider=checks.text(f"{field}.provider", message.provider),
        from_distributor=checks.code(f"{field}.from_distributor", message.from_distributor),
        to_distributor=checks.code(f"{field}.to_distributor", message.to_distributor),
        service=checks.text(f"{field}.service", message.service),
        goods=Goods("", serial) if message.HasField("serial_number") else None,
    )


def _change_location(checks: Checks, field: str, message: api.ChangeLocation) -> a.AnyAction:
    if not message.HasField("address"):
        checks.wrong(f"{field}.address", "is required")
    return a.ChangeLocation(address(checks, f"{field}.address", message.address))


def _change_subscriber(checks: Checks, field: str, message: api.ChangeSubscriber) -> a.AnyAction:
    if not message.HasField("holder"):
        checks.wrong(f"{field}.holder", "is required")
    return a.ChangeSubscriber(account(checks, f"{field}.holder", message.holder))


def _add_usage(checks: Checks, field: str, message: api.AddUsage) -> a.AnyAction:
    start = checks.instant(f"{field}.start_time", message, required=True)
    end = checks.instant(f"{field}.end_time", message, required=True)
    return a.AddUsage(
        provider=checks.text(f"{field}.provider", message.provider),
        distributor=checks.text(f"{field}.distributor", message.distributor),
        service=checks.code(f"{field}.service", message.service),
        quantity=checks.number(f"{field}.quantity", message.quantity, least=1, most=LARGEST),
        start_time=start or LATER,
        end_time=end or LATER,
        reference=checks.text(f"{field}.reference", message.reference, most=NAME, required=True),
        parameters=checks.parameters(f"{field}.parameters", message.parameters),
    )


def _cancel_usage(checks: Checks, field: str, message: api.CancelUsage) -> a.AnyAction:
    return a.CancelUsage(checks.text(f"{field}.usage", message.usage, most=NAME, required=True))


def _replace(checks: Checks, field: str, message: api.Replace) -> a.AnyAction:
    state = checks.enum(f"{field}.state", message.state, default=State.EFFECTIVE, required=True)
    return a.Replace(
        state=state,
        until=checks.instant(f"{field}.until", message),
        type=checks.code(f"{field}.type", message.type),
        holder=account(checks, f"{field}.holder", message.holder),
        address=address(checks, f"{field}.address", message.address),
        items=items(checks, f"{field}.items", message.items),
        services=selections(checks, f"{field}.services", message.services),
    )


READ: Mapping[str, Callable[[Checks, str, Any], a.AnyAction]] = {
    "activate": _plain(a.Activate),
    "deactivate": _plain(a.Deactivate),
    "rest": _until(a.Rest),
    "end_resting": _plain(a.EndResting),
    "short_term_activate": _until(a.ShortTermActivate),
    "end_short_term_activation": _plain(a.EndShortTermActivation),
    "short_term_deactivate": _until(a.ShortTermDeactivate),
    "end_short_term_deactivation": _plain(a.EndShortTermDeactivation),
    "terminate": _plain(a.Terminate),
    "regret": _plain(a.Regret),
    "add_services": _services(a.AddServices, terms=True),
    "start_services": _services(a.StartServices, terms=False),
    "stop_services": _services(a.StopServices, terms=False),
    "remove_services": _services(a.RemoveServices, terms=False),
    "change_terms": _change_terms,
    "swap_service": _swap_service,
    "add_items": _add_items,
    "remove_items": _remove_items,
    "swap_item": _swap_item,
    "change_distribution": _change_distribution,
    "change_location": _change_location,
    "change_subscriber": _change_subscriber,
    "add_usage": _add_usage,
    "cancel_usage": _cancel_usage,
    "replace": _replace,
}
"""How each action is decoded, except Become Subscriber."""
