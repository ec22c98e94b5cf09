"""Reads the TOML file that describes a provider, and checks the references in it."""

from __future__ import annotations

import tomllib
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

import click

from generic_provider import Provider

from .text import Text
from .toml_messages import WrongKeys, fill

OUTPUT_ONLY = ("state", "create_time", "update_time", "etag", "performed_by", "caller")


def read_provider(file: Path) -> Provider:
    message = Provider()
    try:
        with Text(file) as text:
            fill(message, tomllib.loads(text.whole()), output_only=OUTPUT_ONLY, required=("code",))
    except WrongKeys as wrong:
        raise click.UsageError(f"{file}:\n{wrong}") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise click.UsageError(f"{file}: {error}") from None
    return message


def wrong_references(provider: Provider) -> Iterator[str]:
    """Yields an error for each code that the provider names but does not define."""
    distributors = {each.code for each in provider.distributors}
    services = {each.code for each in provider.services}
    goods = {each.goods_type for each in provider.goods}
    for n, each in enumerate(provider.distributors):
        at, required = f"distributors[{n}]", each.required_distributor
        yield from _missing(f"{at}.required_distributor", [required], distributors)
        yield from _missing(f"{at}.allowed_services", each.allowed_services, services)
        yield from _missing(f"{at}.required_goods_types", each.required_goods_types, goods)
    for n, service in enumerate(provider.services):
        yield from _missing(f"services[{n}].required_service", [service.required_service], services)


def _missing(at: str, named: Iterable[str], known: Container[str]) -> Iterator[str]:
    yield from (
        f"{at}: the file does not define {code!r}" for code in named if code and code not in known
    )
