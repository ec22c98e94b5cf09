"""Explains on one screen how a subscription stands with its platforms."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from generic_provider import (
    Archive,
    Client,
    ConnectedAdapter,
    InstalledItem,
    Provider,
    ProviderLink,
    ProviderState,
    ProvisioningRequest,
    RequestState,
    RequestType,
    Subscription,
    SyncState,
)

from .advice import next_step
from .archived import archives_with, more_in
from .output import Output, moment, show_table
from .wording import about, error, heading, not_sent, service_in_brief, waits

MOST_SHOWN = 10
POINTS = ("provider", "viewing point", "CRM: items", "services", "platform: items", "services")


class Platform(NamedTuple):
    """Everything that is known about the subscription at one provider."""

    subscription: str
    link: ProviderLink
    provider: Provider
    pending: list[ProvisioningRequest]
    confirmation: ProvisioningRequest | None
    """The newest request that the platform accepted."""
    adapters: list[ConnectedAdapter]
    not_sent: list[str]
    """Services that are on and not sent, with one sentence for each."""

    @property
    def next_step(self) -> str:
        effective = self.provider.state == ProviderState.EFFECTIVE
        return next_step(
            self.link,
            pending=self.pending,
            adapters=self.adapters,
            effective=effective,
            subscription=self.subscription,
            not_sent=self.not_sent,
        )


class Explanation(NamedTuple):
    subscription: Subscription
    platforms: list[Platform]
    archives: list[Archive]
    """The archives that contain more of the subscription."""

    def show(self, output: Output) -> None:
        if output.as_json:
            click.echo(json.dumps(self._as_json(), ensure_ascii=False))
            return
        click.echo("\n".join(heading(self.subscription)) + "\n")
        show_table(POINTS, self._points())
        for platform in self.platforms:
            click.echo("\n" + "\n".join(_lines(platform, archived=bool(self.archives))))
        if not self.platforms:
            click.echo("  next      nothing: the subscription has no platform")
        if self.archives:
            click.echo("\n" + more_in(self.archives))

    def _points(self) -> Iterator[tuple[str, ...]]:
        """One row for each viewing point."""
        wanted = self.subscription
        for platform in self.platforms:
            held, code = platform.link.confirmed, platform.link.provider
            items = [each for each in wanted.items if each.provider == code]
            services = [each for each in wanted.services if each.provider == code]
            used = {each.distributor for each in (*items, *held.items)}
            used |= {each.distributor for each in services}
            used |= {each.distributor for each in held.services}
            order = [each.code for each in platform.provider.distributors]
            for point in sorted(used, key=order.index):
                yield (
                    code,
                    point,
                    _items(items, point),
                    ", ".join(
                        [service_in_brief(each) for each in services if each.distributor == point]
                    ),
                    _items(held.items, point),
                    ", ".join(
                        [each.service for each in held.services if each.distributor == point]
                    ),
                )

    def _as_json(self) -> dict[str, Any]:
        return {
            "subscription": _plain(self.subscription),
            "archives": [_plain(each) for each in self.archives],
            "platforms": [
                {
                    "provider": each.link.provider,
                    "provider_state": ProviderState.name_of(each.provider.state),
                    "sync_state": SyncState.name_of(each.link.sync_state),
                    "confirmation": _plain(each.confirmation) if each.confirmation else None,
                    "pending": [_plain(request) for request in each.pending],
                    "adapters": [_plain(adapter) for adapter in each.adapters],
                    "next_step": each.next_step,
                }
                for each in self.platforms
            ],
        }


def explained(client: Client, subscription: Subscription) -> Explanation:
    return Explanation(
        subscription,
        [_platform(client, subscription, link) for link in subscription.provider_links],
        archives_with(client, subscription.number),
    )


def _platform(client: Client, subscription: Subscription, link: ProviderLink) -> Platform:
    number = subscription.number
    ours = partial(client.list_requests, subscription=number, provider=link.provider)
    accepted = ours(state=RequestState.COMPLETED, page_size=1)
    pending = ours(state=RequestState.PENDING, oldest_first=True)
    return Platform(
        number,
        link,
        client.get_provider(link.provider),
        list(pending),
        next(accepted, None),
        list(client.list_adapters(provider=link.provider)),
        [
            not_sent(each)
            for each in subscription.services
            if each.provider == link.provider and each.missing_goods_types
        ],
    )


def _lines(platform: Platform, *, archived: bool) -> Iterator[str]:
    link = platform.link
    provider_state = ProviderState.name_of(platform.provider.state)
    yield (
        f"{link.provider} ({provider_state})  account {link.account_number or '(none)'}  "
        f"{SyncState.name_of(link.sync_state)}"
    )
    if platform.confirmation:
        when = moment(platform.confirmation, "settle_time")
        yield f"  confirmed   {when} by {_request(platform.confirmation)}"
    else:
        yield f"  confirmed   nothing {'that is not archived' if archived else 'yet'}"
    yield from (f"  difference  {each.text}" for each in link.differences)
    yield from (f"  not sent    {each}" for each in platform.not_sent)
    for each in platform.pending[:MOST_SHOWN]:
        yield f"  pending     {_request(each)}, waits for {waits(each)}{_trouble(each)}"
    if len(platform.pending) > MOST_SHOWN:
        yield f"  pending     and {len(platform.pending) - MOST_SHOWN} more"
    if link.HasField("last_error"):
        last = link.last_error
        said = f"{last.error_code} {last.error_description}".strip()
        yield f"  last error  {moment(last, 'time')} {last.request}: {said}"
    for adapter in platform.adapters:
        load = f"{adapter.in_flight} of {adapter.max_in_flight} in flight"
        yield f"  adapter     {adapter.adapter} since {moment(adapter, 'connect_time')}, {load}"
    if not platform.adapters:
        yield "  adapter     none is connected"
    yield f"  next        {platform.next_step}"


def _request(request: ProvisioningRequest) -> str:
    return f"{request.number} {RequestType.name_of(request.type)} {about(request)}".rstrip()


def _trouble(request: ProvisioningRequest) -> str:
    if not request.delivery_attempts:
        return ""
    said = f": {error(request)}" if error(request) else ""
    return f", attempt {request.delivery_attempts}{said}"


def _items(items: Iterable[InstalledItem], point: str) -> str:
    return ", ".join(
        [f"{each.goods_type} {each.serial_number}" for each in items if each.distributor == point]
    )


def _plain(message: Message) -> dict[str, Any]:
    return MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
