"""Reads a text of actions: one JSON object on each line, or CSV."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import NAMESPACE_OID, UUID, uuid5

from generic_provider import ActionState, PerformActionRequest, SubscriptionAction

from .message_lines import is_csv, message_of, sources
from .text import Text

ACTION = "action"
"""The name of the CSV column for actions that have no fields."""


class Line(NamedTuple):
    number: int
    source: bytes
    """The line in the text, without its line end."""
    request: PerformActionRequest | None
    wrong: str = ""
    """The reason why the line is wrong; empty if the line contains a request."""

    def is_late(self, action: SubscriptionAction) -> bool:
        """Tells whether the action was performed immediately although the line has a
        schedule time.
        """
        timed = self.request is not None and self.request.HasField("schedule_time")
        return timed and action.state != ActionState.SCHEDULED


class Lines:
    """Reads the actions of a text.

    The lines can be read only once. With another value of `again`, the same lines get other request
    ids, so that their actions are performed again.
    """

    def __init__(self, text: Text, *, again: str = "") -> None:
        self._text = text
        self._again = again
        self._is_csv = is_csv(text)
        self._times: Counter[UUID] = Counter()

    def heading(self) -> bytes:
        """Returns the first line of a CSV text, with a line end; empty for any other text."""
        return next(iter(self._text), b"") + b"\n" if self._is_csv else b""

    def __iter__(self) -> Iterator[Line]:
        beside = (ACTION,) if self._is_csv else ()
        for number, source, fields in sources(
            self._text, PerformActionRequest.DESCRIPTOR, beside=beside
        ):
            try:
                yield Line(number, source, self._request(fields))
            except ValueError as error:
                yield Line(number, source, None, str(error))

    def _request(self, fields: dict[str, Any] | str) -> PerformActionRequest:
        if self._is_csv and isinstance(fields, dict):
            fields = _with_action(fields)
        request = message_of(fields, PerformActionRequest())
        request.request_id = request.request_id or self._request_id(fields)
        return request

    def _request_id(self, fields: dict[str, Any] | str) -> str:
        """Computes the request id from the name of the text, the contents of the line, and the
        number of equal lines before the line. So a line that moves within the text keeps its id.
        """
        says = json.dumps(fields, sort_keys=True)
        line = uuid5(NAMESPACE_OID, f"{self._text.name}\n{says}{self._again}")
        self._times[line] += 1
        return str(uuid5(line, str(self._times[line])))


def _with_action(fields: dict[str, Any]) -> dict[str, Any]:
    action = fields.pop(ACTION, "").lower().replace("-", "_")
    return {action: {}, **fields} if action else fields
