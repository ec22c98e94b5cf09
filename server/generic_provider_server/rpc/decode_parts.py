"""Decodes the parts that several actions have: items, services, holders, addresses."""

from __future__ import annotations

from typing import Any

from generic_provider.v1 import resources_pb2 as pb
from generic_provider.v1 import subscription_service_pb2 as api

from ..domain.actions import Selection
from ..domain.values import Account, Address, Item
from .checks import CODE, NAME, Checks

MOST_PARTS = 2_000
MOST_LINES = 10


def items(checks: Checks, field: str, messages: Any) -> tuple[Item, ...]:
    checks.count(field, messages, most=MOST_PARTS)
    return checks.each(field, messages[:MOST_PARTS], item)


def item(checks: Checks, field: str, message: pb.InstalledItem) -> Item:
    return Item(
        provider=checks.text(f"{field}.provider", message.provider),
        distributor=checks.code(f"{field}.distributor", message.distributor),
        goods_type=checks.code(f"{field}.goods_type", message.goods_type),
        serial_number=checks.code(f"{field}.serial_number", message.serial_number),
        parameters=checks.parameters(f"{field}.parameters", message.parameters),
    )


def selections(checks: Checks, field: str, messages: Any) -> tuple[Selection, ...]:
    checks.count(field, messages, most=MOST_PARTS)
    return checks.each(field, messages[:MOST_PARTS], selection)


def selection(checks: Checks, field: str, message: api.ServiceSelection) -> Selection:
    return Selection(
        provider=checks.text(f"{field}.provider", message.provider),
        distributor=checks.code(f"{field}.distributor", message.distributor),
        service=checks.code(f"{field}.service", message.service),
        term_end=checks.instant(f"{field}.term_end", message),
    )


def account(checks: Checks, field: str, message: pb.Account) -> Account:
    return Account(
        number=checks.text(f"{field}.number", message.number, most=CODE),
        name=checks.text(f"{field}.name", message.name, most=NAME),
        email=checks.text(f"{field}.email", message.email, most=NAME),
        phone=checks.text(f"{field}.phone", message.phone, most=NAME),
        parameters=checks.parameters(f"{field}.parameters", message.parameters),
    )


def address(checks: Checks, field: str, message: pb.Address) -> Address:
    def line(checks: Checks, field: str, value: str) -> str:
        return checks.text(field, value, most=NAME)

    checks.count(f"{field}.lines", message.lines, most=MOST_LINES)
    return Address(
        lines=checks.each(f"{field}.lines", message.lines[:MOST_LINES], line),
        city=checks.text(f"{field}.city", message.city, most=NAME),
        postal_code=checks.text(f"{field}.postal_code", message.postal_code, most=CODE),
        country=checks.text(f"{field}.country", message.country, most=NAME),
        parameters=checks.parameters(f"{field}.parameters", message.parameters),
    )
