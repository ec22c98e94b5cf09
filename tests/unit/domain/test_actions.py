"""Tests which action is allowed in which state, and which state it leads to."""

from __future__ import annotations

from typing import get_args

import pytest
from msgspec.structs import replace

from generic_provider import ActionKind, SubscriptionAction, SubscriptionState
from generic_provider import Subscription as Present
from generic_provider_server.desk.repeatable import is_allowed
from generic_provider_server.domain.actions import (
    Activate,
    AddItems,
    AddServices,
    AddUsage,
    AnyAction,
    BecomeSubscriber,
    CancelUsage,
    ChangeDistribution,
    ChangeLocation,
    ChangeSubscriber,
    ChangeTerms,
    Deactivate,
    EndResting,
    EndShortTermActivation,
    EndShortTermDeactivation,
    Move,
    Regret,
    RemoveItems,
    RemoveServices,
    Replace,
    Rest,
    ShortTermActivate,
    ShortTermDeactivate,
    StartServices,
    StopServices,
    SwapItem,
    SwapService,
    Terminate,
)
from generic_provider_server.domain.refusals import InvalidField, Reason, Refused
from generic_provider_server.domain.values import SECOND, Account, Address, Instant, State
from support.life import START, Life
from support.subscribers import MARI, TALLINN, goods, on, served, viewer

DRAFT, EFFECTIVE, OFF, SHORT_ON, SHORT_OFF, RESTING, CANCELLED, REGRETTED = list(State)[:8]
LIVE = frozenset({DRAFT, EFFECTIVE, OFF, SHORT_ON, SHORT_OFF, RESTING})
ON = frozenset({EFFECTIVE, SHORT_ON})
LATER = Instant(START + 86_400 * SECOND)
SPORT, NEWS, FILM, KIDS = (on("MAIN", code) for code in ("SPORT", "NEWS", "FILM", "KIDS"))

USAGE = AddUsage(
    provider="ALUXSAT",
    service="VOD",
    quantity=1,
    start_time=START,
    end_time=LATER,
    reference="Alien",
)
MOVE = Move(provider="ALUXSAT", from_distributor="MAIN", to_distributor="TWIN1", service="SPORT")
REPLACEMENT = Replace(state=EFFECTIVE, type="DTH", holder=MARI, address=TALLINN, services=(KIDS,))

WAYS: dict[State, tuple[AnyAction, ...]] = {
    DRAFT: (),
    EFFECTIVE: (),
    OFF: (Deactivate(),),
    SHORT_ON: (Deactivate(), ShortTermActivate(LATER), StopServices((NEWS,))),
    SHORT_OFF: (ShortTermDeactivate(LATER),),
    RESTING: (Rest(LATER),),
    CANCELLED: (Terminate(),),
    REGRETTED: (Regret(),),
}

STATE_ACTIONS: list[tuple[AnyAction, frozenset[State], State]] = [
    (Activate(), frozenset({DRAFT, OFF}), EFFECTIVE),
    (Deactivate(), frozenset({EFFECTIVE}), OFF),
    (Rest(LATER), frozenset({EFFECTIVE, RESTING}), RESTING),
    (EndResting(), frozenset({RESTING}), EFFECTIVE),
    (ShortTermActivate(LATER), frozenset({DRAFT, OFF, SHORT_ON}), SHORT_ON),
    (EndShortTermActivation(), frozenset({SHORT_ON}), OFF),
    (ShortTermDeactivate(LATER), frozenset({EFFECTIVE, SHORT_OFF}), SHORT_OFF),
    (EndShortTermDeactivation(), frozenset({SHORT_OFF}), EFFECTIVE),
    (Terminate(), LIVE, CANCELLED),
    (Regret(), LIVE, REGRETTED),
    (REPLACEMENT, LIVE, EFFECTIVE),
]

OTHER_ACTIONS: list[tuple[AnyAction, frozenset[State]]] = [
    (AddServices((KIDS,)), LIVE),
    (StartServices((NEWS,)), ON),
    (StopServices((SPORT,)), ON),
    (RemoveServices((SPORT,)), LIVE),
    (ChangeTerms((on("MAIN", "SPORT", term_end=LATER),)), LIVE),
    (
        SwapService(
            provider="ALUXSAT", distributor="MAIN", old_service="SPORT", new_service="KIDS"
        ),
        LIVE,
    ),
    (AddItems(goods("TWIN1", "2")), LIVE),
    (RemoveItems(("1",), goods_type="DECODER"), LIVE),
    (SwapItem(old_serial_number="1", new_serial_number="9", goods_type="SMARTCARD"), LIVE),
    (ChangeDistribution((MOVE,)), LIVE),
    (ChangeLocation(Address(city="Tartu")), LIVE),
    (ChangeSubscriber(Account(name="Jaan")), LIVE),
    (USAGE, ON),
    (CancelUsage("Solaris"), ON),
]


@pytest.mark.parametrize(
    "action",
    [action for action, *_ in (*STATE_ACTIONS, *OTHER_ACTIONS)],
    ids=lambda action: action.kind.name,
)
def test_the_desk_knows_the_states_in_which_the_service_performs_an_action(
    action: AnyAction,
) -> None:
    refused = SubscriptionAction(kind=ActionKind.value_of(action.kind.name))
    for state in LIVE:
        life = life_in(state)
        try:
            life.perform(action)
            allowed = True
        except Refused as refusal:
            allowed = "is not allowed while" not in refusal.message
        present = Present(state=SubscriptionState.value_of(state.name))
        assert is_allowed(refused, present) is allowed, state.name


def test_the_tables_have_each_action_that_needs_a_subscription() -> None:
    tested = {type(action) for action, *_ in [*STATE_ACTIONS, *OTHER_ACTIONS]}
    assert tested == {*get_args(AnyAction)} - {BecomeSubscriber}


def life_in(state: State) -> Life:
    """Returns a subscription in this state. SPORT and FILM are on as far as the state allows, NEWS
    was stopped, and the usage record Solaris has not ended.
    """
    life = served(viewer(SPORT, NEWS, FILM, draft=state is DRAFT))
    if state is not DRAFT:
        life.perform(StopServices((NEWS,)))
        life.perform(replace(USAGE, reference="Solaris"))
    for action in WAYS[state]:
        life.perform(action)
    assert life.desired.state is state
    return life


def name(value: object) -> str | None:
    if isinstance(value, State):
        return value.name
    return type(value).__name__ if hasattr(value, "kind") else None


@pytest.mark.parametrize("state", list(State)[:8], ids=name)
@pytest.mark.parametrize(("action", "sources", "target"), STATE_ACTIONS, ids=name)
def test_a_state_is_left_for_the_one_that_the_action_leads_to_or_not_at_all(
    action: AnyAction, sources: frozenset[State], target: State, state: State
) -> None:
    life = life_in(state)
    if state in sources:
        life.perform(action)
        assert life.desired.state is target
    else:
        refused_and_unchanged(life, action)


@pytest.mark.parametrize("state", list(State)[:8], ids=name)
@pytest.mark.parametrize(("action", "sources"), OTHER_ACTIONS, ids=name)
def test_other_actions_leave_the_state_as_it_is(
    action: AnyAction, sources: frozenset[State], state: State
) -> None:
    life = life_in(state)
    starts = isinstance(action, StartServices) and state is OFF
    if state in sources or starts:
        life.perform(action)
        assert life.desired.state is (EFFECTIVE if starts else state)
    else:
        refused_and_unchanged(life, action)


def refused_and_unchanged(life: Life, action: AnyAction) -> None:
    before = life.there
    with pytest.raises(Refused) as refused:
        life.perform(action)
    assert refused.value.reason is Reason.ACTION_NOT_ALLOWED
    assert refused.value.metadata["state"] == before.desired.state.name
    assert refused.value.metadata["action"] == action.kind.name
    assert life.there == before


@pytest.mark.parametrize("state", list(State)[:8], ids=name)
def test_nobody_becomes_a_subscriber_twice(state: State) -> None:
    with pytest.raises(Refused) as refused:
        life_in(state).perform(viewer(SPORT))
    assert refused.value.reason is Reason.SUBSCRIPTION_EXISTS


@pytest.mark.parametrize("final", [DRAFT, CANCELLED, REGRETTED], ids=name)
def test_nothing_is_replaced_to_a_draft_or_to_an_end(final: State) -> None:
    action = Replace(state=final, type="DTH", holder=MARI, address=TALLINN)
    with pytest.raises(InvalidField):
        life_in(EFFECTIVE).perform(action)


@pytest.mark.parametrize("action", [Rest(START), ShortTermDeactivate(START)], ids=name)
def test_an_end_lies_in_the_future(action: AnyAction) -> None:
    with pytest.raises(InvalidField):
        life_in(EFFECTIVE).perform(action)


def test_a_rest_that_is_asked_for_again_moves_its_end() -> None:
    life = life_in(RESTING)
    life.perform(Rest(Instant(LATER + 1)))
    assert life.desired.until == LATER + 1


def states(life: Life) -> dict[str, State]:
    return {service.service: service.state for service in life.desired.services}


def test_services_follow_only_from_the_states_that_the_action_leaves() -> None:
    life = life_in(RESTING)
    assert states(life) == {"SPORT": RESTING, "NEWS": OFF, "FILM": RESTING}
    life.perform(EndResting())
    assert states(life) == {"SPORT": EFFECTIVE, "NEWS": OFF, "FILM": EFFECTIVE}


def test_an_activation_takes_every_service_that_is_off_along() -> None:
    life = life_in(OFF)
    life.perform(Activate())
    assert set(states(life).values()) == {EFFECTIVE}


def test_an_end_takes_everything_along_and_releases_the_items() -> None:
    life = life_in(EFFECTIVE)
    life.perform(Terminate())
    assert set(states(life).values()) == {CANCELLED}
    assert not life.desired.items


@pytest.mark.parametrize("kind", [StopServices, RemoveServices])
def test_the_last_service_that_is_on_takes_the_subscription_along(
    kind: type[StopServices | RemoveServices],
) -> None:
    life = life_in(EFFECTIVE)
    life.perform(kind((SPORT, FILM)))
    assert life.desired.state is OFF


def test_a_start_on_a_subscription_that_is_off_starts_just_these_services() -> None:
    life = life_in(OFF)
    life.perform(StartServices((NEWS,)))
    assert states(life) == {"SPORT": OFF, "NEWS": EFFECTIVE, "FILM": OFF}


@pytest.mark.parametrize(
    ("action", "state", "text"),
    [
        (AddServices((SPORT,)), "EFFECTIVE", "is already on distributor MAIN, EFFECTIVE"),
        (AddServices((NEWS,)), "NOT_EFFECTIVE", "NOT_EFFECTIVE; start-services starts it"),
        (
            SwapService(
                provider="ALUXSAT", distributor="MAIN", old_service="SPORT", new_service="NEWS"
            ),
            "NOT_EFFECTIVE",
            "is already on distributor MAIN, NOT_EFFECTIVE; start-services starts it",
        ),
        (
            Replace(
                state=RESTING,
                until=LATER,
                type="DTH",
                holder=MARI,
                address=TALLINN,
                services=(NEWS, NEWS),
            ),
            "IN_RESTING",
            "the action names service NEWS on distributor MAIN twice",
        ),
    ],
    ids=["an effective one", "a stopped one", "a swap", "a replacement"],
)
def test_a_service_that_is_there_is_refused_with_the_state_that_it_has(
    action: AnyAction, state: str, text: str
) -> None:
    with pytest.raises(Refused) as refused:
        life_in(EFFECTIVE).perform(action)
    assert refused.value.metadata["state"] == state
    assert str(refused.value).endswith(text)


def test_a_new_service_takes_the_state_of_the_subscription() -> None:
    life = life_in(RESTING)
    life.perform(AddServices((KIDS,)))
    assert states(life)["KIDS"] is RESTING


def test_what_left_is_kept_as_history_but_for_drafts() -> None:
    life = life_in(EFFECTIVE)
    life.perform(RemoveServices((NEWS,)))
    swap = SwapService(
        provider="ALUXSAT", distributor="MAIN", old_service="SPORT", new_service="KIDS"
    )
    life.perform(swap)
    former = [(service.service, service.state) for service in life.desired.former]
    assert former == [("NEWS", State.REMOVED), ("SPORT", State.SWAPPED)]

    draft = life_in(DRAFT)
    draft.perform(RemoveServices((NEWS,)))
    assert not draft.desired.former


@pytest.mark.parametrize(
    "action",
    [
        ChangeTerms((replace(NEWS, provider=""), replace(NEWS, term_end=LATER))),
        ChangeDistribution(
            (
                Move(
                    provider="",
                    from_distributor="MAIN",
                    to_distributor="MAIN",
                    service="NEWS",
                ),
                Move(
                    provider="ALUXSAT",
                    from_distributor="MAIN",
                    to_distributor="TWIN1",
                    service="NEWS",
                ),
            )
        ),
    ],
)
def test_a_service_that_is_named_twice_is_changed_in_one_way_only(action: AnyAction) -> None:
    """One of the two names may leave out the provider."""
    life = life_in(EFFECTIVE)
    with pytest.raises(InvalidField, match="twice"):
        life.perform(action)


def test_a_service_that_is_named_twice_is_removed_once() -> None:
    life = life_in(EFFECTIVE)
    life.perform(RemoveServices((NEWS, NEWS)))
    assert [service.service for service in life.desired.former] == ["NEWS"]


def test_what_a_replacement_does_not_name_goes() -> None:
    life = life_in(RESTING)
    life.perform(REPLACEMENT)
    assert states(life) == {"KIDS": EFFECTIVE}
    assert not life.desired.items


def test_usage_needs_the_service_that_it_requires() -> None:
    life = life_in(EFFECTIVE)
    life.perform(StopServices((FILM,)))
    with pytest.raises(Refused) as refused:
        life.perform(USAGE)
    assert refused.value.reason is Reason.REQUIRED_SERVICE_MISSING


def test_a_reference_names_one_usage() -> None:
    life = life_in(EFFECTIVE)
    life.perform(USAGE)
    with pytest.raises(Refused) as refused:
        life.perform(USAGE)
    assert refused.value.reason is Reason.ACTION_NOT_ALLOWED


def test_the_fields_of_an_action_are_checked_before_the_state_of_the_subscription() -> None:
    with pytest.raises(InvalidField, match="until"):
        life_in(CANCELLED).perform(replace(REPLACEMENT, until=LATER))
