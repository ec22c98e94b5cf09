"""Checks and applies paths of fields, like `add_services.services[0].distributor`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

PART = re.compile(r"(\w+)(\[\d{1,4}\])?")
POSITION = re.compile(r"\[(\d+)\]")
LEAVES = ("google.protobuf.Timestamp", "google.protobuf.Duration")


def why_unknown(path: str, of: Descriptor, *, beside: Collection[str] = ()) -> str:
    """Returns the reason why no text can fill the field at this path; empty if a text can fill it.
    `beside`: names that are allowed too, although they are no paths.
    """
    first, _, rest = path.partition(".")
    part = PART.fullmatch(first)
    name, index = part.groups() if part else (first, None)
    # a search in fields_by_name fails if the name contains bytes that are not UTF-8
    field = {each.name: each for each in of.fields}.get(name)
    if field is None:
        return no_field(name, of, beside=beside)
    if is_map(field):
        return "" if rest and not index else f"{name} needs a key: {name}.KEY"
    if field.is_repeated and not index:
        return f"{name} needs a position: {name}[0]"
    if index and not field.is_repeated:
        return f"{name} is no list"
    within = field.message_type if _is_message(field) else None
    if within is None:
        return f"{name} has no fields" if rest else ""
    return why_unknown(rest, within) if rest else f"{name} needs a field: {name}.FIELD"


def no_field(name: str, of: Descriptor, *, beside: Collection[str] = ()) -> str:
    near = difflib.get_close_matches(name.lower(), [*beside, *of.fields_by_name], n=1)
    return f"there is no field {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def nested(cells: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Returns the JSON form of a message with these texts in its fields. `cells`: the path and the
    text of each field. Empty texts are left out, even in lists. The positions in the paths decide
    the order of a list, not the order of the cells.
    """
    root: dict[str, Any] = {}
    places = {"": root}
    for path, text in sorted(cells, key=lambda cell: _positions(cell[0])):
        if text:
            _put(places, path, text)
    return root


def _positions(path: str) -> list[int]:
    return [int(position) for position in POSITION.findall(path)]


def _put(places: dict[str, dict[str, Any]], path: str, value: Any) -> None:
    parent, _, last = path.rpartition(".")
    if parent not in places:
        places[parent] = {}
        _put(places, parent, places[parent])
    name, index, _ = last.partition("[")
    if index:
        places[parent].setdefault(name, []).append(value)
    else:
        places[parent][name] = value


def _is_message(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name not in LEAVES


def is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry
