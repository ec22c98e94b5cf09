"""Tests that each action is in the unions that its fields demand, and that the reference model has
the same unions.
"""

from __future__ import annotations

from typing import Any, get_args

import pytest
from msgspec.structs import fields

from generic_provider_server.domain.actions import (
    Action,
    ActionKind,
    AnyAction,
    AtomicAction,
    DivisibleAction,
    ServiceListAction,
    StateAction,
)
from generic_provider_server.domain.subscription.perform import WholeActivation, WholeDeactivation
from support.reference import books

ACTIONS: list[type[Action]] = Action.__subclasses__()


def names(actions: Any) -> list[str]:
    return sorted(each.__name__ for each in actions)


def field_names(action: type[Action]) -> set[str]:
    """Returns the names of the fields of the action, except flags."""
    return {each.name for each in fields(action) if each.type is not bool}


def test_each_action_has_a_kind_of_its_own() -> None:
    assert sorted(each.kind for each in ACTIONS) == list(ActionKind)


def test_each_action_is_either_atomic_or_divisible() -> None:
    divided = [*get_args(AtomicAction), *get_args(DivisibleAction)]
    assert names(divided) == names(ACTIONS)
    assert names(get_args(AnyAction)) == names(ACTIONS)


def test_each_action_that_names_only_services_lists_services() -> None:
    listing = [each for each in ACTIONS if field_names(each) == {"services"}]
    assert names(get_args(ServiceListAction)) == names(listing)


def test_each_action_without_contents_changes_the_state_of_the_subscription() -> None:
    switching = [each for each in ACTIONS if field_names(each) <= {"until"}]
    assert names(get_args(StateAction)) == names(switching)


@pytest.mark.parametrize(
    ("ours", "models"),
    [
        (AtomicAction, books.ATOMIC),
        (ServiceListAction, books.LISTING_SERVICES),
        (WholeActivation, books.ACTIVATIONS),
        (WholeDeactivation, books.DEACTIVATIONS),
    ],
    ids=["ATOMIC", "LISTING_SERVICES", "ACTIVATIONS", "DEACTIVATIONS"],
)
def test_the_reference_model_has_the_same_actions(ours: Any, models: Any) -> None:
    assert names(models) == names(get_args(ours))
