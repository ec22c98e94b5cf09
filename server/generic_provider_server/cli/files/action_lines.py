"""Reads a file of actions: one JSON object on each line, or CSV."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import NAMESPACE_OID, UUID, uuid5

from generic_provider import PerformActionRequest

from .message_lines import is_csv, message_of, sources

ACTION = "action"
"""The column that names an action without fields."""


class Line(NamedTuple):
    number: int
    source: bytes
    """The line exactly as in the file."""
    request: PerformActionRequest | None
    wrong: str = ""
    """The reason why there is no request; empty if there is one."""


class Lines:
    """The lines of a file. They can be read once."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._is_csv = is_csv(file)
        self._times: Counter[UUID] = Counter()

    def heading(self) -> bytes:
        """The heading of a CSV file, which precedes the lines."""
        if not self._is_csv:
            return b""
        with self._file.open("rb") as source:
            return source.readline()

    def __iter__(self) -> Iterator[Line]:
        beside = (ACTION,) if self._is_csv else ()
        for number, source, fields in sources(
            self._file, PerformActionRequest.DESCRIPTOR, beside=beside
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
        """A request id that is the same for the same line of a file of the same name, in any
        position.
        """
        says = json.dumps(fields, sort_keys=True)
        line = uuid5(NAMESPACE_OID, f"{self._file.name}\n{says}")
        self._times[line] += 1
        return str(uuid5(line, str(self._times[line])))


def _with_action(fields: dict[str, Any]) -> dict[str, Any]:
    action = fields.pop(ACTION, "").lower().replace("-", "_")
    return {action: {}, **fields} if action else fields
