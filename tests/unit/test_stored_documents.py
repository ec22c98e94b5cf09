"""Tests that documents, and lines of archives, that an earlier version has stored can be read.

The file `stored_documents.jsonl` has documents with each field, and documents with only the fields
that have no default. Databases and archives contain documents without a field that is added later,
so a new field needs a default, and no place in the lines of the file. Add lines to the file only
for a new kind of contents.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from generic_provider_server.services.presence import Connected
from generic_provider_server.store.archives.lines import decode_line
from generic_provider_server.store.database import documents, reset_rows

STORED = [
    json.loads(line)
    for line in Path(__file__).with_name("stored_documents.jsonl").read_text().splitlines()
]


def of_row(read: Callable[[Any], object]) -> Callable[[bytes], object]:
    return lambda document: read(SimpleNamespace(document=document))


READ: dict[str, Callable[[bytes], object]] = {
    "subscription": documents.aggregate_of,
    "provider": documents.provider_of,
    "request": documents.request_of,
    "action": documents.action_of,
    "error": documents.error_of,
    "taken_back": documents.taken_back_of,
    "events": documents.events_of,
    "reset_definition": of_row(reset_rows.definition_of_row),
    "reset_run": of_row(reset_rows.run_of_row),
    "reset_run_entry": of_row(reset_rows.entry_of_row),
    "streams": msgspec.json.Decoder(list[Connected]).decode,
    "archive": decode_line,
}


def kept(old: Any, new: Any) -> bool:
    """Tells whether the new document has all contents of the old document. The new document may
    also have new fields, or new values at the end of a list that stands for a value.
    """
    if isinstance(old, dict):
        return all(key in new and kept(value, new[key]) for key, value in old.items())
    if isinstance(old, list):
        return len(new) >= len(old) and all(map(kept, old, new))
    return bool(old == new)


@pytest.mark.parametrize("kind", READ)
def test_a_stored_document_is_read_with_all_its_contents(kind: str) -> None:
    stored = [each["document"] for each in STORED if each["of"] == kind]
    assert stored
    for document in stored:
        read = READ[kind](json.dumps(document).encode())
        assert kept(document, json.loads(documents.encode(read))), document


def test_each_stored_document_is_read() -> None:
    assert Counter(each["of"] for each in STORED).keys() == READ.keys()
