"""Reads from the server all facts that explain the state of a subscription."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import NamedTuple

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from generic_provider import (
    ActionState,
    Archive,
    AuditEntry,
    Client,
    ConnectedAdapter,
    PermissionDenied,
    Provider,
    ProviderLink,
    ProvisioningRequest,
    RequestNotFound,
    RequestState,
    SubscribedService,
    Subscription,
    SubscriptionAction,
    Usage,
    WaitingFor,
)

from .archived import archives_with
from .other_owners import other_owners
from .refused import refused_by

MOST_ACTIONS = 20
MOST_REQUESTS = 50
NOT_EFFECTIVE = "NOT_EFFECTIVE"


class Platform(NamedTuple):
    """All facts about the subscription at one provider."""

    subscription: Subscription
    link: ProviderLink
    not_sent: Sequence[SubscribedService]
    """The services that are on, but were not sent to the platform, because goods are missing."""
    refused: SubscriptionAction | None
    """The newest action, if this platform rejected it or a part of it."""
    not_repeated: Sequence[SubscriptionAction]
    """The newest actions that this platform rejected, wholly or in part, and whose effect is still
    missing.
    """
    actions: Sequence[SubscriptionAction]
    """The newest actions of the subscription, beginning with the newest."""
    coming: Sequence[Usage]
    """The usage records that begin in the future."""
    owners: Mapping[str, str]
    """For items that the platform holds or may hold: the other subscription that has the item in
    the CRM, by the serial number of the item.
    """
    provider: Provider | None = None
    """The provider; None if the caller may not read providers. For such a caller, all fields after
    `provider` are empty too.
    """
    pending: Sequence[ProvisioningRequest] = ()
    """The pending requests. Requests that wait for an earlier request come last."""
    confirmation: ProvisioningRequest | None = None
    """The newest request that the platform accepted."""
    adapters: Sequence[ConnectedAdapter] = ()
    rejected: ProvisioningRequest | None = None
    """The request that caused the last error, if it is not archived."""
    report: AuditEntry | None = None
    """The newest report of the platform, if it is newer than `confirmation`. The report did not
    necessarily name the subscription.
    """
    expired: ProvisioningRequest | None = None
    """The newest request that expired, if it expired after `confirmation`."""
    switched_off: AuditEntry | None = None
    """The last call that made the provider not effective; None if no such call is known."""
    switched_on: AuditEntry | None = None
    """The call that made the provider effective again after `switched_off`, if there is one."""


class Facts(NamedTuple):
    subscription: Subscription
    platforms: list[Platform]
    actions: list[SubscriptionAction]
    """The newest actions that are not scheduled, beginning with the newest. The explanation shows
    only the first ACTIONS_SHOWN of them.
    """
    scheduled: list[SubscriptionAction]
    requests: list[ProvisioningRequest] | None
    """The newest requests of the subscription, beginning with the newest; None if the caller may
    not read requests.
    """
    archives: list[Archive]
    """The newest archives that contain older requests of the subscription."""

    @property
    def has_all_requests(self) -> bool:
        """Tells whether `requests` contains every request of the subscription."""
        found = self.requests
        return found is not None and len(found) < MOST_REQUESTS and not self.archives


def facts_of(client: Client, subscription: Subscription) -> Facts:
    number = subscription.number
    scheduled = [*client.list_actions(subscription=number, state=ActionState.SCHEDULED)]
    actions = client.list_actions(subscription=number, page_size=MOST_ACTIONS + len(scheduled))
    performed = (each for each in actions if each.state != ActionState.SCHEDULED)
    newest = [*islice(performed, MOST_ACTIONS)]
    requests = _newest_requests(client, number)
    platforms = [
        _platform(client, subscription, link, newest, requests or ())
        for link in subscription.provider_links
    ]
    if requests is None:
        # The same roles may read requests, providers and archives. Further calls would only leave
        # further refusals in the audit trail.
        return Facts(subscription, platforms, newest, scheduled, None, [])
    platforms = [_as_read(client, each) for each in platforms]
    archives = archives_with(client, number)
    return Facts(subscription, platforms, newest, scheduled, requests, archives)


def _newest_requests(client: Client, number: str) -> list[ProvisioningRequest] | None:
    found = client.list_requests(subscription=number, page_size=MOST_REQUESTS)
    try:
        return [*islice(found, MOST_REQUESTS)]
    except PermissionDenied:
        return None


def _platform(
    client: Client,
    subscription: Subscription,
    link: ProviderLink,
    newest: Sequence[SubscriptionAction],
    requests: Sequence[ProvisioningRequest],
) -> Platform:
    code = link.provider
    rejected = {
        each.action
        for each in requests
        if each.provider == code and each.state == RequestState.REJECTED
    }
    refused = refused_by(code, newest, present=subscription, rejected=rejected)
    return Platform(
        subscription=subscription,
        link=link,
        not_sent=[e for e in subscription.services if e.provider == code and e.missing_goods_types],
        refused=refused[0] if refused and refused[0] == newest[0] else None,
        not_repeated=refused,
        actions=newest,
        coming=_coming(subscription, code),
        owners=other_owners(client, link, subscription=subscription.number),
    )


def _as_read(client: Client, platform: Platform) -> Platform:
    """Adds the facts that only the roles support, operator and auditor may read."""
    number, link = platform.subscription.number, platform.link
    code = link.provider
    ours = partial(client.list_requests, subscription=number, provider=code)
    accepted = next(ours(state=RequestState.COMPLETED, page_size=1), None)
    expired = next(ours(state=RequestState.EXPIRED, page_size=1), None)
    report = _newest_report(client, code)
    switched_off, switched_on = _switched(client, code)
    return platform._replace(
        provider=client.get_provider(code),
        pending=_waiting_last(ours(state=RequestState.PENDING, oldest_first=True)),
        confirmation=accepted,
        adapters=list(client.list_adapters(provider=code)),
        rejected=_rejected(client, link),
        report=report if report and _is_after(report.time, accepted) else None,
        expired=expired if expired and _is_after(expired.settle_time, accepted) else None,
        switched_off=switched_off,
        switched_on=switched_on,
    )


def _waiting_last(pending: Iterable[ProvisioningRequest]) -> list[ProvisioningRequest]:
    """Returns the requests in their order, but puts those that wait for an earlier request last.
    After a rollback, such a request can have a smaller number than the request for which it waits.
    """
    return sorted(pending, key=lambda each: each.waiting_for == WaitingFor.EARLIER_REQUEST)


def _is_after(time: Timestamp, accepted: ProvisioningRequest | None) -> bool:
    return not accepted or is_later(time, accepted.settle_time)


def is_later(time: Timestamp, other: Timestamp) -> bool:
    return time.ToDatetime() > other.ToDatetime()


def _newest_report(client: Client, code: str) -> AuditEntry | None:
    reports = client.list_audit_entries(
        provider=code, methods=["ReportPlatformState"], codes=[grpc.StatusCode.OK], page_size=10
    )
    return next((each for each in islice(reports, 10) if each.done), None)


def _switched(client: Client, code: str) -> tuple[AuditEntry | None, AuditEntry | None]:
    """Returns the last call that changed the provider from effective to not effective, and the call
    that changed it back. A call that is not known, or not made yet, is None. Calls that repeat an
    earlier call without an effect are ignored.
    """
    calls = client.list_audit_entries(
        provider=code, methods=["SetProviderState"], codes=[grpc.StatusCode.OK], page_size=10
    )
    off, on = None, None
    for call in calls:
        if call.detail == NOT_EFFECTIVE:
            off = call
        elif off:
            break
        else:
            on = call
    return off, on if off else None


def _coming(subscription: Subscription, provider: str) -> list[Usage]:
    now = datetime.now(UTC)
    used = [each for each in subscription.usages if each.provider == provider]
    return [each for each in used if each.start_time.ToDatetime(UTC) > now]


def _rejected(client: Client, link: ProviderLink) -> ProvisioningRequest | None:
    try:
        return client.get_request(link.last_error.request) if link.HasField("last_error") else None
    except RequestNotFound:
        return None
