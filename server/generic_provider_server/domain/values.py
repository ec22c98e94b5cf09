"""Defines the immutable values of the business: providers, subscriptions, and their parts.

Instants are microseconds since 1970 in UTC. Enums have the same numbers as in the protos.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum
from typing import NewType

import msgspec

Instant = NewType("Instant", int)
Parameters = dict[str, str]

SECOND = 1_000_000


def clock_shows(now: Instant) -> str:
    """Returns the end of a refusal that is about a time in the future or in the past."""
    shown = datetime.fromtimestamp(now // SECOND, UTC)
    return f"the server's clock shows {shown:%Y-%m-%d %H:%M:%SZ}"


class Value(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A frozen value. Its encoded form leaves out every field that has its default value."""


class ProviderState(IntEnum):
    NOT_EFFECTIVE = 1
    EFFECTIVE = 2


class ServiceKind(IntEnum):
    TERMED = 1
    USAGE = 2


class RequestMethod(IntEnum):
    PER_SERVICE = 1
    WHOLE_SUBSCRIPTION = 2


class State(IntEnum):
    """The state of a subscription, and of a service on it.

    Only services have the states SWAPPED and REMOVED.
    """

    DRAFT = 1
    EFFECTIVE = 2
    NOT_EFFECTIVE = 3
    SHORT_TERM_EFFECTIVE = 4
    SHORT_TERM_NOT_EFFECTIVE = 5
    IN_RESTING = 6
    CANCELLED = 7
    REGRETTED = 8
    SWAPPED = 9
    REMOVED = 10


ON = frozenset({State.EFFECTIVE, State.SHORT_TERM_EFFECTIVE})
FINAL = frozenset({State.CANCELLED, State.REGRETTED})
OFF_UNTIL_ACTIVATED = frozenset({State.DRAFT, State.NOT_EFFECTIVE})
TIMED = frozenset({State.SHORT_TERM_EFFECTIVE, State.SHORT_TERM_NOT_EFFECTIVE, State.IN_RESTING})


class SyncState(IntEnum):
    IN_SYNC = 1
    PENDING = 2
    OUT_OF_SYNC = 3


class Priority(IntEnum):
    LIVE = 1
    BULK = 2


class RequestType(IntEnum):
    BECOME_SUBSCRIBER = 1
    ACTIVATE_SERVICE = 2
    DEACTIVATE_SERVICE = 3
    ADD_INSTALLED_ITEM = 4
    REMOVE_INSTALLED_ITEM = 5
    ACTIVATE_SUBSCRIBER = 6
    DEACTIVATE_SUBSCRIBER = 7
    UPDATE_SUBSCRIBER = 8
    UPDATE_ADDRESS = 9
    ADD_UDR = 10
    CANCEL_UDR = 11


class RequestState(IntEnum):
    PENDING = 1
    COMPLETED = 2
    REJECTED = 3
    CANCELLED = 4
    EXPIRED = 5


class RequestOrigin(IntEnum):
    ACTION = 1
    RESET = 2
    ROLLBACK = 3


class Distributor(Value, frozen=True, kw_only=True):
    code: str
    display_name: str = ""
    required_distributor: str = ""
    allowed_services: tuple[str, ...] = ()
    required_goods_types: tuple[str, ...] = ()
    max_services: int | None = None


class Service(Value, frozen=True, kw_only=True):
    code: str
    provider_service_id: str
    display_name: str = ""
    kind: ServiceKind = ServiceKind.TERMED
    required_service: str = ""
    parameters: Parameters = {}


class GoodsMapping(Value, frozen=True):
    goods_type: str
    provider_goods_type: str


class RequestSettings(Value, frozen=True, kw_only=True):
    activation_method: RequestMethod = RequestMethod.PER_SERVICE
    deactivation_method: RequestMethod = RequestMethod.PER_SERVICE
    term_end_on_platform: bool = False


class DeliverySettings(Value, frozen=True, kw_only=True):
    """The settings for handing requests over.

    All durations are in microseconds; `max_delivery_attempts` is 0 if there is no limit.
    """

    pending_window: int = 7 * 86_400 * SECOND
    max_delivery_attempts: int = 0
    max_lease_time: int = 3_600 * SECOND


class Provider(Value, frozen=True, kw_only=True):
    code: str
    display_name: str = ""
    state: ProviderState = ProviderState.NOT_EFFECTIVE
    distributors: tuple[Distributor, ...] = ()
    services: tuple[Service, ...] = ()
    goods: tuple[GoodsMapping, ...] = ()
    request_settings: RequestSettings = RequestSettings()
    delivery_settings: DeliverySettings = DeliverySettings()


class Account(Value, frozen=True, kw_only=True):
    number: str = ""
    name: str = ""
    email: str = ""
    phone: str = ""
    parameters: Parameters = {}


class Address(Value, frozen=True, kw_only=True):
    lines: tuple[str, ...] = ()
    city: str = ""
    postal_code: str = ""
    country: str = ""
    parameters: Parameters = {}


class Goods(Value, frozen=True, order=True):
    """The identity of an item: the CRM's goods type and the serial number."""

    goods_type: str
    serial_number: str


class Item(Value, frozen=True, kw_only=True):
    provider: str
    distributor: str
    goods_type: str
    serial_number: str
    parameters: Parameters = {}

    @property
    def goods(self) -> Goods:
        return Goods(self.goods_type, self.serial_number)


class SubscribedService(Value, frozen=True, kw_only=True):
    """A service of a subscription on a distributor.

    `term_over` is True if the term has ended: the service stays off until its term changes.
    `stopped_by_term` is True if the term end switched the service off, so that a later term starts
    the service again. `stopped_by_hand` is True if Stop Services switched the service off, and no
    action has started the service since.
    """

    provider: str
    distributor: str
    service: str
    state: State
    term_end: Instant | None = None
    term_over: bool = False
    stopped_by_term: bool = False
    stopped_by_hand: bool = False

    @property
    def place(self) -> tuple[str, str, str]:
        return self.provider, self.distributor, self.service

    @property
    def on(self) -> bool:
        return self.state in ON


class Usage(Value, frozen=True, kw_only=True):
    reference: str
    provider: str
    distributor: str
    service: str
    quantity: int
    start_time: Instant
    end_time: Instant
    create_time: Instant
    parameters: Parameters = {}


class Subscription(Value, frozen=True, kw_only=True):
    """The state of a subscription that the CRM wants. `former` keeps the services that were last
    swapped or removed.

    `linked`: the codes of the providers that serve the subscription. `stopped_by_term` is True if
    the subscription became NOT_EFFECTIVE because the last service that was on reached its term end.
    A later term makes such a subscription EFFECTIVE again.
    """

    number: str
    type: str
    state: State
    holder: Account
    address: Address
    create_time: Instant
    until: Instant | None = None
    items: tuple[Item, ...] = ()
    services: tuple[SubscribedService, ...] = ()
    usages: tuple[Usage, ...] = ()
    former: tuple[SubscribedService, ...] = ()
    linked: tuple[str, ...] = ()
    stopped_by_term: bool = False

    @property
    def live(self) -> bool:
        return self.state not in FINAL

    @property
    def on(self) -> bool:
        return self.state in ON
