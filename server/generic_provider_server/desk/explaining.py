"""Explains on one screen the state of a subscription at its platforms.

Other modules of this package write the texts of some lines: `causes` (possible causes), `advice`
(`next`), `coming_changes` (`coming`), `services_off` (services that are off), `actions` (last and
refused actions, which `refused` chooses), `other_owners` (an item that another subscription has),
`archived` (archives) and `wording` (parts of a subscription). The server writes the texts of the
lines `difference` (domain.subscription.differences).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from generic_provider import (
    Client,
    InstalledItem,
    Provider,
    ProviderState,
    ProvisionedService,
    ProvisioningRequest,
    RequestType,
    SubscribedService,
    Subscription,
    SubscriptionAction,
    SyncState,
    Usage,
)

from .actions import in_brief, outcome
from .advice import Again, next_step
from .archived import more_in
from .coming_changes import coming
from .command_lines import command
from .facts import Facts, Platform, facts_of, is_later
from .other_owners import with_owner
from .output import Output, age, json_line, moment, plain, say, say_folded, show_table
from .services_off import how_to_switch_on, not_sent_with_it, off_with_it
from .wording import (
    NO_REASON,
    about,
    address,
    heading,
    holder,
    not_sent,
    service_in_brief,
    trouble,
    usage,
    waits,
)
from .wording import point as named
from .wording import state_of as request_state

MOST_SHOWN = 10
ACTIONS_SHOWN = 5
POINTS = ("provider", "viewing point", "CRM: items", "services", "platform: items", "services")


class Explanation(NamedTuple):
    facts: Facts
    again: Again

    def show(self, output: Output) -> None:
        if output.as_json:
            say(json_line(self._as_json()))
            return
        subscription, platforms, actions, scheduled, _, archives = self.facts
        say_folded(*heading(subscription))
        for used in subscription.usages:
            say_folded(f"  usage     {usage(used)}{self._sent(used)}")
        say_folded("")
        show_table(POINTS, self._points())
        if lines := coming(subscription, scheduled):
            say_folded("", "coming", *lines)
        if actions:
            say_folded("", "last actions")
        for action in actions[:ACTIONS_SHOWN]:
            say_folded(*self._action_lines(action))
        if len(actions) > ACTIONS_SHOWN:
            listed = "action", "list", "--subscription", subscription.number
            say_folded(f"  older ones: {command(*listed)}")
        for platform in platforms:
            say_folded("", *_lines(platform, subscription, archived=bool(archives)))
            say_folded(f"  next        {next_step(platform, self.again)}")
        if not platforms:
            advice = how_to_switch_on(subscription)
            say_folded("", f"  next      {advice or 'nothing: the subscription has no platform'}")
        if archives:
            say_folded("", more_in(archives))

    def _sent(self, used: Usage) -> str:
        """Describes the newest request about a usage record, with the state of the request; empty
        if this request is not known. An older request with the same reference is about an earlier
        record, which was cancelled.
        """
        for request in self.facts.requests or ():
            same = request.usage.reference == used.reference and request.provider == used.provider
            if same and not is_later(used.create_time, request.create_time):
                return f"; {_request_in_brief(request)} at {moment(request, 'create_time')}"
        return "; not sent" if self.facts.has_all_requests else ""

    def _action_lines(self, action: SubscriptionAction) -> Iterator[str]:
        yield f"  {in_brief(action)}"
        for name, text in outcome(action):
            yield f"    {name:<10} {text}"
        made = [each for each in self.facts.requests or () if each.number in action.requests]
        if made:
            shown = made[-MOST_SHOWN:]
            left_out = len(action.requests) - len(shown)
            more = f" and {left_out} more" if left_out else ""
            brief = ", ".join(map(_request_in_brief, reversed(shown)))
            yield f"    {'requests':<10} {brief}{more}"

    def _points(self) -> Iterator[tuple[str, ...]]:
        """Yields one row with the columns POINTS for each viewing point."""
        wanted = self.facts.subscription
        for platform in self.facts.platforms:
            held, code = platform.link.confirmed, platform.link.provider
            items = [each for each in wanted.items if each.provider == code]
            services = [each for each in wanted.services if each.provider == code]
            used = {each.distributor for each in (*items, *held.items)}
            used |= {each.distributor for each in services}
            used |= {each.distributor for each in held.services}
            known = platform.provider.distributors if platform.provider else ()
            order = [each.code for each in known]
            order += sorted(used.difference(order))
            for point in sorted(used, key=order.index):
                yield (
                    code,
                    named(point),
                    _items(items, point),
                    ", ".join(
                        [service_in_brief(each) for each in services if each.distributor == point]
                    ),
                    _items(held.items, point) or "(none)",
                    ", ".join(
                        _held(each, services, platform.provider)
                        for each in held.services
                        if each.distributor == point
                    )
                    or "(none)",
                )

    def _as_json(self) -> dict[str, Any]:
        return {
            "subscription": plain(self.facts.subscription),
            "platforms": [
                {
                    "provider": each.link.provider,
                    "provider_state": _state(each.provider),
                    "sync_state": SyncState.name_of(each.link.sync_state),
                    "confirmation": plain(each.confirmation) if each.confirmation else None,
                    "pending": [plain(request) for request in each.pending],
                    "adapters": [plain(adapter) for adapter in each.adapters],
                    "next_step": next_step(each, self.again),
                }
                for each in self.facts.platforms
            ],
            "actions": [plain(each) for each in self.facts.actions[:ACTIONS_SHOWN]],
            "scheduled": [plain(each) for each in self.facts.scheduled],
            "archives": [plain(each) for each in self.facts.archives],
        }


def explained(client: Client, subscription: Subscription, *, again: Again) -> Explanation:
    return Explanation(facts_of(client, subscription), again)


def _state(provider: Provider | None) -> str:
    return ProviderState.name_of(provider.state) if provider else "UNSPECIFIED"


def _lines(platform: Platform, wanted: Subscription, *, archived: bool) -> Iterator[str]:
    link = platform.link
    state = f" ({_state(platform.provider)})" if platform.provider else ""
    account = f"account {link.account_number or '(none)'}"
    yield f"{link.provider}{state}  {account}  {SyncState.name_of(link.sync_state)}"
    yield from _confirmed(platform, archived=archived)
    held = link.confirmed
    if held.ByteSize() and held.holder != wanted.holder:
        yield f"  its holder  {holder(held.holder) or '(none)'}"
    if held.ByteSize() and held.address != wanted.address:
        yield f"  its address {address(held.address) or '(none)'}"
    yield from (f"  difference  {with_owner(each, platform.owners)}" for each in link.differences)
    yield from (f"  not sent    {not_sent(each)}" for each in platform.not_sent)
    if off := [each for each in off_with_it(wanted) if each.provider == link.provider]:
        yield f"  not sent    {not_sent_with_it(wanted, off)}"
    yield from (f"  refused     {in_brief(each)}, not repeated" for each in platform.not_repeated)
    for each in platform.pending[:MOST_SHOWN]:
        since = f"created {age(each, 'create_time')} ago, {moment(each, 'create_time')}"
        yield f"  pending     {_request(each)}, waits for {waits(each)}{_trouble(each)}; {since}"
    if len(platform.pending) > MOST_SHOWN:
        yield f"  pending     and {len(platform.pending) - MOST_SHOWN} more"
    if link.HasField("last_error"):
        last = link.last_error
        request = _request(platform.rejected) if platform.rejected else last.request
        said = f"{last.error_code} {last.error_description}".strip() or NO_REASON
        yield f"  last error  {moment(last, 'time')} {request}: {said}{_since(platform)}"
    for adapter in platform.adapters:
        load = f"{adapter.in_flight} of {adapter.max_in_flight} in flight"
        yield f"  adapter     {adapter.adapter} since {moment(adapter, 'connect_time')}, {load}"
    if not platform.provider:
        yield "  not shown   the provider, its requests and adapters: your roles may not read them"
    elif not platform.adapters:
        yield "  adapter     none is connected (adapters that poll are not shown)"


def _confirmed(platform: Platform, *, archived: bool) -> Iterator[str]:
    if platform.confirmation:
        when = moment(platform.confirmation, "settle_time")
        yield f"  confirmed   {when} by {_request(platform.confirmation)}"
    elif platform.provider and not platform.report:
        known = archived or platform.link.confirmed.ByteSize()
        gone = "by requests that are not in the database"
        yield f"  confirmed   {gone if known else 'nothing yet'}"
    if platform.report:
        when = moment(platform.report, "time")
        named = "if this report named the subscription, it confirmed the items and services above"
        yield f"  reported    {when}; {named}"


def _since(platform: Platform) -> str:
    """Returns a remark if the platform has accepted a request after the last error, otherwise an
    empty text.
    """
    accepted, last = platform.confirmation, platform.link.last_error
    if not accepted or accepted.settle_time.ToDatetime() <= last.time.ToDatetime():
        return ""
    return f" (the platform accepted {accepted.number} after this error)"


def _request(request: ProvisioningRequest) -> str:
    return f"{request.number} {RequestType.name_of(request.type)} {about(request)}".rstrip()


def _request_in_brief(request: ProvisioningRequest) -> str:
    return f"{request.number} {RequestType.name_of(request.type)} {request_state(request)}"


def _trouble(request: ProvisioningRequest) -> str:
    if not request.delivery_attempts:
        return ""
    said = f": {trouble(request)}" if trouble(request) else ""
    return f", attempt {request.delivery_attempts}{said}"


def _held(
    held: ProvisionedService, wanted: Iterable[SubscribedService], provider: Provider | None
) -> str:
    """Names an entitlement of the platform. Several services can be the same entitlement, for
    example two plans of one package; then it has the names of those that the CRM has there.
    """
    known = provider.services if provider else ()
    same = {e.code for e in known if e.provider_service_id == held.provider_service_id}
    here = [e.service for e in wanted if e.distributor == held.distributor and e.service in same]
    return held.service if held.service in here or not here else " or ".join(here)


def _items(items: Iterable[InstalledItem], point: str) -> str:
    return ", ".join(
        sorted(
            f"{each.goods_type} {each.serial_number}" for each in items if each.distributor == point
        )
    )
