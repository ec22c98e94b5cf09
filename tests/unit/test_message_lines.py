"""Tests how the fields in a line of a file are converted to a message."""

from __future__ import annotations

import re
from typing import Any

import pytest

from generic_provider import PerformActionRequest, PlatformSubscription
from generic_provider_server.cli.files.field_paths import nested
from generic_provider_server.cli.files.message_lines import message_of


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"missing": "maybe"}, "missing: 'maybe' is neither true nor false"),
        ({"subscription": 5}, "subscription: 5 is not a text: put it between quotation marks"),
        (
            {"items": [{"serial_number": 12345678}]},
            "items[0].serial_number: 12345678 is not a text: put it between quotation marks",
        ),
        ({"subscription": "a\ud800"}, "subscription: '\\ud800' is not a character"),
    ],
)
def test_a_wrong_value_is_explained_with_its_field(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(why)}$"):
        message_of(fields, PlatformSubscription())


def test_a_line_with_two_actions_names_both() -> None:
    fields: dict[str, Any] = {"terminate": {}, "reference": "", "stop_services": {}}
    with pytest.raises(ValueError, match=r"^terminate and stop_services do not go together$"):
        message_of(fields, PerformActionRequest())


def test_true_and_false_may_be_texts() -> None:
    assert message_of({"missing": "TRUE"}, PlatformSubscription()).missing
    assert not message_of({"missing": "false"}, PlatformSubscription()).missing


def test_positions_decide_the_order_of_a_list_and_not_the_columns() -> None:
    first, second = "address.lines[0]", "address.lines[1]"
    assert nested([(second, "B"), (first, "A")]) == {"address": {"lines": ["A", "B"]}}
    items = [("items[10].a[1]", "4"), ("items[2].b", "1"), ("items[10].a[0]", "3"), ("c", "0")]
    assert nested(items) == {"c": "0", "items": [{"b": "1"}, {"a": ["3", "4"]}]}
