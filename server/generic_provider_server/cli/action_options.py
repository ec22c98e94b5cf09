"""Defines the options of each command `action …`, for example of `action add-services`. Converts
the values of the options to fields of the action's message.

A parameter is named after the field that its option fills: `holder__name` fills `holder.name`, and
`services__term_end` fills `term_end` of each service.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import click
from google.protobuf.timestamp_pb2 import Timestamp

from generic_provider import SubscriptionState

from .values import INSTANT, MOST_INT64, Entry, Named, NamedOption, Parts

LIVE = tuple(
    name
    for name in vars(SubscriptionState)
    if name.isupper() and name not in ("DRAFT", "CANCELLED", "REGRETTED")
)


class Verb(NamedTuple):
    words: str
    options: tuple[click.Parameter, ...] = ()


OF_ELEMENTS = {
    "existing__holds_everything": "--holds-everything needs --existing",
    "services__term_end": "--term-end needs --service",
}


def message_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """Converts the values of options to keyword arguments of the action's message.

    Raises UsageError if an option belongs to the elements of a list, but no option has put an
    element into the list (for example `--term-end` without `--service`).
    """
    fields: dict[str, Any] = {}
    for path in sorted(options):  # sorted, because a list must exist before its elements are filled
        value = options[path]
        if value is not None and value not in ("", (), False):
            if path in OF_ELEMENTS and path.partition("__")[0] not in fields:
                raise click.UsageError(OF_ELEMENTS[path])
            _put(fields, path.rstrip("_").split("__"), _plain(value))
    return fields


def _put(fields: dict[str, Any], path: list[str], value: Any) -> None:
    first, *rest = path
    if not rest:
        fields[first] = fields.get(first, []) + value if isinstance(value, list) else value
        return
    within = fields.setdefault(first, {})
    for each in within if isinstance(within, list) else [within]:
        _put(each, rest, value)


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            timestamp = Timestamp()
            timestamp.FromDatetime(value)
            return timestamp
        case ((str(), str()), *_):
            return dict(value)
        case tuple():
            return [dict(each) if isinstance(each, dict) else each for each in value]
        case _:
            return value


def _option(name: str, path: str = "", **attributes: Any) -> click.Option:
    return click.Option([name, path] if path else [name], **attributes)


def _many(name: str, path: str, kind: click.ParamType[Any], **attributes: Any) -> click.Option:
    words = attributes.pop("help", "")
    return _option(
        name, path, type=kind, multiple=True, help=f"{words} May be repeated.".strip(), **attributes
    )


def _instant(name: str, path: str = "", **attributes: Any) -> click.Option:
    return _option(name, path, type=INSTANT, **attributes)


PROVIDER = _option(
    "--provider",
    help="The provider. It may be left out if the subscription has exactly one provider.",
)
SERVICE = Parts("provider", "distributor", "service", optional=1)
ITEM = Parts("provider", "distributor", "goods_type", "serial_number", optional=1)
SERVICES = _many("--service", "services", SERVICE, required=True, help="A service.")
SOME_SERVICES = _many("--service", "services", SERVICE, help="A service.")
ITEMS = _many("--item", "items", ITEM, required=True, help="A card, box or other item.")
SOME_ITEMS = _many("--item", "items", ITEM, help="A card, box or other item.")
TERM_END = _instant("--term-end", "services__term_end", help="The time at which the services stop.")
UNTIL = _instant("--until", required=True, help="The time at which the state ends automatically.")
TYPE = _option("--type", required=True, help="Your name for this type of subscription, e.g. DTH.")
HOLDER = (
    _option("--holder-number", "holder__number", help="The holder's account number in the CRM."),
    _option("--holder-name", "holder__name", help="The holder's name."),
    _option("--holder-email", "holder__email", help="The holder's email address."),
    _option("--holder-phone", "holder__phone", help="The holder's telephone number."),
    _many(
        "--holder-parameter",
        "holder__parameters",
        Entry(),
        help="An extra value for the platform: KEY=VALUE.",
    ),
)
ADDRESS = (
    _many("--address-line", "address__lines", click.STRING, help="A line of the address."),
    _option("--city", "address__city", help="The city of the address."),
    _option("--postal-code", "address__postal_code", help="The postal code of the address."),
    _option("--country", "address__country", help="The country of the address."),
    _many(
        "--address-parameter",
        "address__parameters",
        Entry(),
        help="An extra value for the platform: KEY=VALUE.",
    ),
)
EXISTING = (
    _many(
        "--existing",
        "existing",
        Parts("provider", "account_number"),
        help="An account that the customer already has on a platform. No request is sent to this "
        "platform.",
    ),
    _option(
        "--holds-everything",
        "existing__holds_everything",
        is_flag=True,
        help="The platforms of --existing already hold everything that this action names.",
    ),
)

ACTIONS = {
    "become-subscriber": Verb(
        "Create a subscription.",
        (
            TYPE,
            _option("--provider", help="The provider of items and services that name no provider."),
            SOME_ITEMS,
            SOME_SERVICES,
            TERM_END,
            _option(
                "--draft", is_flag=True, help="Create the subscription as DRAFT: it is not on yet."
            ),
            *EXISTING,
            *HOLDER,
            *ADDRESS,
        ),
    ),
    "activate": Verb("Switch a subscription on."),
    "deactivate": Verb("Switch a subscription off."),
    "rest": Verb("Let a subscription rest until a time.", (UNTIL,)),
    "end-resting": Verb("End a rest."),
    "short-term-activate": Verb("Switch a subscription on until a time.", (UNTIL,)),
    "end-short-term-activation": Verb("End a short-term activation early."),
    "short-term-deactivate": Verb("Switch a subscription off until a time.", (UNTIL,)),
    "end-short-term-deactivation": Verb("End a short-term deactivation early."),
    "terminate": Verb("End a subscription, and release its items."),
    "regret": Verb("End a subscription in its withdrawal period."),
    "add-services": Verb("Add services.", (SERVICES, TERM_END)),
    "start-services": Verb("Switch services on.", (SERVICES,)),
    "stop-services": Verb("Switch services off.", (SERVICES,)),
    "remove-services": Verb("Remove services.", (SERVICES,)),
    "change-terms": Verb(
        "Set the term ends of services. Without --term-end, remove the term ends.",
        (SERVICES, TERM_END),
    ),
    "swap-service": Verb(
        "Replace a service by another.",
        (
            PROVIDER,
            _option("--distributor", required=True, help="The viewing point of both services."),
            _option("--old-service", required=True, help="The old service, which is replaced."),
            _option("--new-service", required=True, help="The new service."),
            _instant("--term-end", help="The time at which the new service stops."),
        ),
    ),
    "add-items": Verb("Add cards, boxes or other items.", (ITEMS,)),
    "remove-items": Verb(
        "Remove items.",
        (
            _many(
                "--serial-number",
                "serial_numbers",
                click.STRING,
                required=True,
                help="The serial number of an item.",
            ),
            _option("--goods-type", help="Only items of this goods type."),
            _option("--provider", help="Only items of this provider."),
            _option("--distributor", metavar="CODE", help="Only items of this distributor."),
        ),
    ),
    "swap-item": Verb(
        "Replace an item by another.",
        (
            _option(
                "--old-serial-number", required=True, help="The serial number of the old item."
            ),
            _option("--goods-type", help="The goods type of the old item."),
            _option(
                "--new-item",
                required=True,
                type=Parts("provider", "distributor", "goods_type", "serial_number", optional=2),
                help="The new item. Default: the provider and the distributor of the old item.",
            ),
        ),
    ),
    "change-distribution": Verb(
        "Move services or items to other distributors.",
        (
            _many(
                "--service",
                "moves",
                Parts("provider", "from_distributor", "service", "to_distributor", optional=1),
                help="A service to move.",
            ),
            _many(
                "--item",
                "moves_",
                Parts(
                    "provider", "from_distributor", "serial_number", "to_distributor", optional=1
                ),
                help="An item to move.",
            ),
        ),
    ),
    "change-location": Verb("Change the address.", ADDRESS),
    "change-subscriber": Verb("Change the holder.", HOLDER),
    "add-usage": Verb(
        "Add a usage record, e.g. of one film.",
        (
            _option(
                "--usage", "reference", required=True, help="The reference of the usage record."
            ),
            _option("--service", required=True, metavar="CODE", help="The usage service."),
            PROVIDER,
            _option(
                "--distributor",
                metavar="CODE",
                help="The distributor. Default: the first distributor in use that offers the usage "
                "service, and on which the service that it requires is on.",
            ),
            _option(
                "--quantity",
                type=click.IntRange(1, MOST_INT64),
                default=1,
                show_default=True,
                help="The amount that is used.",
            ),
            _instant("--start-time", required=True, help="The beginning of the usage."),
            _instant("--end-time", required=True, help="The end of the usage."),
            _many(
                "--parameter",
                "parameters",
                Entry(),
                help="An extra value for the platform, e.g. the film: KEY=VALUE.",
            ),
        ),
    ),
    "cancel-usage": Verb(
        "Cancel a usage record.",
        (_option("--usage", required=True, help="The reference of the usage record."),),
    ),
    "replace": Verb(
        "Set the whole contents of a subscription. The options name the state, type, holder, "
        "address, items and services. Values that no option names are removed.",
        (
            NamedOption(
                ["--state"],
                type=Named(SubscriptionState, only=LIVE),
                help="The state that the subscription gets.",
                required=True,
                callback=lambda _ctx, _param, name: SubscriptionState.value_of(name),
            ),
            _instant("--until", help="The end of the rest or short term."),
            TYPE,
            SOME_ITEMS,
            SOME_SERVICES,
            TERM_END,
            *HOLDER,
            *ADDRESS,
        ),
    ),
}
