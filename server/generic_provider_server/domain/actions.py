"""Defines the actions of the CRM.

A caller may leave out the providers of services, items and moves. `rules.resolve` adds these
providers before an action is applied.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from .values import (
    Account,
    Address,
    Goods,
    Instant,
    Item,
    Parameters,
    State,
    Value,
)


class ActionKind(IntEnum):
    BECOME_SUBSCRIBER = 1
    ACTIVATE = 2
    DEACTIVATE = 3
    REST = 4
    END_RESTING = 5
    SHORT_TERM_ACTIVATE = 6
    END_SHORT_TERM_ACTIVATION = 7
    SHORT_TERM_DEACTIVATE = 8
    END_SHORT_TERM_DEACTIVATION = 9
    TERMINATE = 10
    REGRET = 11
    ADD_SERVICES = 12
    START_SERVICES = 13
    STOP_SERVICES = 14
    REMOVE_SERVICES = 15
    CHANGE_TERMS = 16
    SWAP_SERVICE = 17
    ADD_ITEMS = 18
    REMOVE_ITEMS = 19
    SWAP_ITEM = 20
    CHANGE_DISTRIBUTION = 21
    CHANGE_LOCATION = 22
    CHANGE_SUBSCRIBER = 23
    ADD_USAGE = 24
    CANCEL_USAGE = 25
    REPLACE = 26


class Selection(Value, frozen=True, kw_only=True):
    provider: str
    distributor: str
    service: str
    term_end: Instant | None = None

    @property
    def place(self) -> tuple[str, str, str]:
        return self.provider, self.distributor, self.service


class Existing(Value, frozen=True, kw_only=True):
    """A provider whose platform already serves the customer.

    If `holds_everything` is True, this platform holds everything that the action names for the
    provider. Otherwise the caller knows only the customer's account number on this platform.
    """

    provider: str
    account_number: str
    holds_everything: bool = False


class Move(Value, frozen=True, kw_only=True):
    """Moves a service or an item to another distributor. Either `service` or `goods` is set."""

    provider: str
    from_distributor: str
    to_distributor: str
    service: str = ""
    goods: Goods | None = None


class Action(Value, frozen=True, tag_field="action"):
    kind: ClassVar[ActionKind]


class BecomeSubscriber(Action, frozen=True, kw_only=True, tag="become_subscriber"):
    kind: ClassVar[ActionKind] = ActionKind.BECOME_SUBSCRIBER
    number: str
    type: str
    holder: Account
    address: Address
    provider: str = ""
    items: tuple[Item, ...] = ()
    services: tuple[Selection, ...] = ()
    draft: bool = False
    existing: tuple[Existing, ...] = ()


class Activate(Action, frozen=True, tag="activate"):
    kind: ClassVar[ActionKind] = ActionKind.ACTIVATE


class Deactivate(Action, frozen=True, tag="deactivate"):
    kind: ClassVar[ActionKind] = ActionKind.DEACTIVATE


class Rest(Action, frozen=True, tag="rest"):
    kind: ClassVar[ActionKind] = ActionKind.REST
    until: Instant


class EndResting(Action, frozen=True, tag="end_resting"):
    kind: ClassVar[ActionKind] = ActionKind.END_RESTING


class ShortTermActivate(Action, frozen=True, tag="short_term_activate"):
    kind: ClassVar[ActionKind] = ActionKind.SHORT_TERM_ACTIVATE
    until: Instant


class EndShortTermActivation(Action, frozen=True, tag="end_short_term_activation"):
    kind: ClassVar[ActionKind] = ActionKind.END_SHORT_TERM_ACTIVATION


class ShortTermDeactivate(Action, frozen=True, tag="short_term_deactivate"):
    kind: ClassVar[ActionKind] = ActionKind.SHORT_TERM_DEACTIVATE
    until: Instant


class EndShortTermDeactivation(Action, frozen=True, tag="end_short_term_deactivation"):
    kind: ClassVar[ActionKind] = ActionKind.END_SHORT_TERM_DEACTIVATION


class Terminate(Action, frozen=True, tag="terminate"):
    kind: ClassVar[ActionKind] = ActionKind.TERMINATE


class Regret(Action, frozen=True, tag="regret"):
    kind: ClassVar[ActionKind] = ActionKind.REGRET


class AddServices(Action, frozen=True, tag="add_services"):
    kind: ClassVar[ActionKind] = ActionKind.ADD_SERVICES
    services: tuple[Selection, ...]


class StartServices(Action, frozen=True, tag="start_services"):
    kind: ClassVar[ActionKind] = ActionKind.START_SERVICES
    services: tuple[Selection, ...]


class StopServices(Action, frozen=True, tag="stop_services"):
    """Stops services.

    If `term_over` is True, the services stop because their terms have ended. Then the action may
    also name a service that is off already.
    """

    kind: ClassVar[ActionKind] = ActionKind.STOP_SERVICES
    services: tuple[Selection, ...]
    term_over: bool = False


class RemoveServices(Action, frozen=True, tag="remove_services"):
    kind: ClassVar[ActionKind] = ActionKind.REMOVE_SERVICES
    services: tuple[Selection, ...]


class ChangeTerms(Action, frozen=True, tag="change_terms"):
    kind: ClassVar[ActionKind] = ActionKind.CHANGE_TERMS
    services: tuple[Selection, ...]


class SwapService(Action, frozen=True, kw_only=True, tag="swap_service"):
    kind: ClassVar[ActionKind] = ActionKind.SWAP_SERVICE
    provider: str
    distributor: str
    old_service: str
    new_service: str
    term_end: Instant | None = None


class AddItems(Action, frozen=True, tag="add_items"):
    kind: ClassVar[ActionKind] = ActionKind.ADD_ITEMS
    items: tuple[Item, ...]


class RemoveItems(Action, frozen=True, tag="remove_items"):
    """Removes items. `goods`: the items that the serial numbers mean. `rules.resolve` adds them."""

    kind: ClassVar[ActionKind] = ActionKind.REMOVE_ITEMS
    serial_numbers: tuple[str, ...]
    goods_type: str = ""
    provider: str = ""
    distributor: str = ""
    goods: tuple[Goods, ...] = ()


class SwapItem(Action, frozen=True, kw_only=True, tag="swap_item"):
    """Replaces an item. `goods_type`, `provider` and `distributor` select the old item if several
    items have this serial number. If `new_goods_type` is empty, the new item has the goods type of
    the old item.
    """

    kind: ClassVar[ActionKind] = ActionKind.SWAP_ITEM
    old_serial_number: str
    new_serial_number: str
    goods_type: str = ""
    new_goods_type: str = ""
    provider: str = ""
    distributor: str = ""
    parameters: Parameters = {}


class ChangeDistribution(Action, frozen=True, tag="change_distribution"):
    kind: ClassVar[ActionKind] = ActionKind.CHANGE_DISTRIBUTION
    moves: tuple[Move, ...]


class ChangeLocation(Action, frozen=True, tag="change_location"):
    kind: ClassVar[ActionKind] = ActionKind.CHANGE_LOCATION
    address: Address


class ChangeSubscriber(Action, frozen=True, tag="change_subscriber"):
    kind: ClassVar[ActionKind] = ActionKind.CHANGE_SUBSCRIBER
    holder: Account


class AddUsage(Action, frozen=True, kw_only=True, tag="add_usage"):
    """Adds a usage record. If the service requires another service, this other service must be on
    at the distributor of the record. If `distributor` is empty, the record belongs to the first
    distributor in use that offers the service and fulfils this condition.

    `chosen_distributor`: the distributor that the service chose because `distributor` is empty. In
    a replay the record stays on this distributor if possible, even if a change of the provider has
    made another distributor the first.
    """

    kind: ClassVar[ActionKind] = ActionKind.ADD_USAGE
    provider: str
    service: str
    quantity: int
    start_time: Instant
    end_time: Instant
    reference: str
    distributor: str = ""
    parameters: Parameters = {}
    chosen_distributor: str = ""


class CancelUsage(Action, frozen=True, tag="cancel_usage"):
    kind: ClassVar[ActionKind] = ActionKind.CANCEL_USAGE
    usage: str


class Replace(Action, frozen=True, kw_only=True, tag="replace"):
    kind: ClassVar[ActionKind] = ActionKind.REPLACE
    state: State
    type: str
    holder: Account
    address: Address
    until: Instant | None = None
    items: tuple[Item, ...] = ()
    services: tuple[Selection, ...] = ()


StateAction = (
    Activate
    | Deactivate
    | Rest
    | EndResting
    | ShortTermActivate
    | EndShortTermActivation
    | ShortTermDeactivate
    | EndShortTermDeactivation
    | Terminate
    | Regret
)

ServiceListAction = AddServices | StartServices | StopServices | RemoveServices | ChangeTerms
"""Actions on a list of services. The rejection of a request takes back only the services in this
request.
"""

AtomicAction = (
    SwapService
    | SwapItem
    | ChangeDistribution
    | Rest
    | ShortTermDeactivate
    | Terminate
    | Regret
    | Replace
)
"""Actions that are taken back as a whole when one of their requests is rejected."""

DivisibleAction = (
    BecomeSubscriber
    | Activate
    | Deactivate
    | EndResting
    | ShortTermActivate
    | EndShortTermActivation
    | EndShortTermDeactivation
    | ServiceListAction
    | AddItems
    | RemoveItems
    | ChangeLocation
    | ChangeSubscriber
    | AddUsage
    | CancelUsage
)
"""Actions that can be taken back in part: the rejection of a request takes back only the part of
the action that this request carries.
"""

AnyAction = AtomicAction | DivisibleAction
