"""Simulates a platform in an SQLite file, which several adapter processes can share."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from generic_provider import (
    InstalledItem,
    ProvisionedService,
    ProvisioningRequest,
    Reject,
    RequestType,
)

SCHEMA = """
CREATE TABLE IF NOT EXISTS subscriber (subscription TEXT PRIMARY KEY, holds TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS journal (
    id INTEGER PRIMARY KEY, request TEXT NOT NULL, subscription TEXT NOT NULL, type TEXT NOT NULL,
    what TEXT NOT NULL, adapter TEXT NOT NULL, outcome TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS journal_subscription ON journal (subscription, id);
"""
TABLES = frozenset({"subscriber", "journal"})
REMOVING = (
    RequestType.DEACTIVATE_SERVICE,
    RequestType.DEACTIVATE_SUBSCRIBER,
    RequestType.REMOVE_INSTALLED_ITEM,
    RequestType.CANCEL_UDR,
)
ENCODED = str.maketrans({" ": "%20", "%": "%25"})
EMPTY: dict[str, Any] = {"holder": "", "items": [], "services": [], "usages": []}


class Line(NamedTuple):
    """One entry of the journal: a change by an adapter, or a rejected request."""

    request: str
    subscription: str
    type: str
    what: str
    adapter: str
    outcome: str


class Platform:
    """A platform that applies requests and, like a real platform, rejects changes of an unknown
    subscriber. The platform accepts a repeated request.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._database = sqlite3.connect(path, isolation_level=None, timeout=30)
        except sqlite3.OperationalError as error:
            raise OSError(f"{path}: {error}") from error
        try:
            self._refuse_other_tables()
            self._database.executescript(f"PRAGMA journal_mode = WAL; {SCHEMA}")
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise OSError(f"{path} is not the file of a simulated platform: {error}") from error

    def close(self) -> None:
        self._database.close()

    def _refuse_other_tables(self) -> None:
        """Raises DatabaseError if the file belongs to another program, for example if it is the
        database of the service.
        """
        found = self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if others := {name for (name,) in found if not name.startswith("sqlite_")} - TABLES:
            raise sqlite3.DatabaseError(f"it has the table {min(others)}")

    def perform(self, request: ProvisioningRequest, *, adapter: str) -> None:
        """Applies a request. Raises Reject if the platform refuses it."""
        with self._transaction():
            try:
                now = performed(self.holds(request.subscription), request)
            except Reject as reject:
                self._note(request, adapter, f"rejected {reject.code}")
                raise
            if now is not None:
                self._database.execute(
                    "INSERT OR REPLACE INTO subscriber VALUES (?, ?)",
                    (request.subscription, json.dumps(now)),
                )
            self._note(request, adapter, "done")

    def refuse(self, request: ProvisioningRequest, *, adapter: str, code: str) -> None:
        """Records that a rule rejected the request."""
        with self._transaction():
            self._note(request, adapter, f"rejected {code}")

    def holds(self, subscription: str) -> dict[str, Any] | None:
        """Returns the contents of a subscriber as sorted texts, or None if the subscriber is
        unknown.
        """
        row = self._database.execute(
            "SELECT holds FROM subscriber WHERE subscription = ?", (subscription,)
        ).fetchone()
        return json.loads(row[0]) if row else None

    def subscriptions(self) -> list[str]:
        rows = self._database.execute("SELECT subscription FROM subscriber ORDER BY subscription")
        return [number for (number,) in rows]

    def journal(self, subscription: str = "") -> Iterator[Line]:
        """Yields the entries about all applied and rejected requests, in order: of the given
        subscription, or of all subscriptions if `subscription` is empty.
        """
        found = self._database.execute(
            "SELECT request, subscription, type, what, adapter, outcome FROM journal "
            "WHERE subscription = ? OR ? = '' ORDER BY id",
            (subscription, subscription),
        )
        for row in found:
            yield Line(*row)

    def _note(self, request: ProvisioningRequest, adapter: str, outcome: str) -> None:
        kind = RequestType.name_of(request.type)
        line = Line(request.number, request.subscription, kind, what(request), adapter, outcome)
        self._database.execute(
            "INSERT INTO journal (request, subscription, type, what, adapter, outcome) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            line,
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Runs the `with` block in a transaction. If the block raises Reject, the transaction is
        committed nevertheless.
        """
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            self._database.execute("COMMIT")


@contextmanager
def platform_in(path: Path) -> Iterator[Platform]:
    with closing(Platform(path)) as platform:
        yield platform


def performed(holds: dict[str, Any] | None, request: ProvisioningRequest) -> dict[str, Any] | None:
    """Returns the contents of the subscriber after the request, or None if the subscriber is
    unknown.

    Raises Reject if the subscriber is unknown, and the request is neither a BECOME_SUBSCRIBER nor a
    removal. A removal is accepted, because an unknown subscriber does not have the element.
    """
    kind = request.type
    if kind == RequestType.BECOME_SUBSCRIBER:
        return {
            "holder": request.account.name,
            "items": sorted(map(item_text, request.installed_items)),
            "services": sorted(map(service_text, request.services)),
            "usages": (holds or EMPTY)["usages"],
        }
    if holds is None and kind in REMOVING:
        return None
    if holds is None:
        raise Reject("UNKNOWN_SUBSCRIBER", f"{request.subscription} is not known here")
    now = {**holds}
    if kind == RequestType.UPDATE_SUBSCRIBER:
        now["holder"] = request.account.name
    for name, added, removed in _changes(request):
        kept = [text for text in now[name] if not _is_named(text, removed)]
        now[name] = sorted({*kept, *added})
    return now


def _is_named(held: str, removed: Sequence[str]) -> bool:
    """Tells whether a request removes the element. A request without a distributor removes the
    element at every distributor.
    """
    return held in removed or f" {held.partition(' ')[2]}" in removed


def _changes(request: ProvisioningRequest) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yields for each list of a subscriber (`items`, `services` or `usages`) that the request
    changes: the name of the list, the elements that the request adds, and the elements that the
    request removes. Each element is a text.
    """
    services = [service_text(each) for each in request.services or [request.service]]
    match request.type:
        case RequestType.ACTIVATE_SERVICE | RequestType.ACTIVATE_SUBSCRIBER:
            yield "services", services, []
        case RequestType.DEACTIVATE_SERVICE | RequestType.DEACTIVATE_SUBSCRIBER:
            yield "services", [], services
        case RequestType.ADD_INSTALLED_ITEM:
            yield "items", [item_text(request.installed_item)], []
        case RequestType.REMOVE_INSTALLED_ITEM:
            yield "items", [], [item_text(request.installed_item)]
        case RequestType.ADD_UDR:
            yield "usages", [_usage(request)], []
        case RequestType.CANCEL_UDR:
            yield "usages", [], [_usage(request)]
        case _:
            return


def item_text(item: InstalledItem) -> str:
    return _text(item.distributor, item.provider_goods_type, item.serial_number)


def service_text(service: ProvisionedService) -> str:
    goods = [item.serial_number for item in service.items]
    return _text(service.distributor, service.provider_service_id, *goods)


def _usage(request: ProvisioningRequest) -> str:
    """Returns the reference of the usage record and the serial numbers of its goods."""
    return _text(request.usage.reference, *[item.serial_number for item in request.service.items])


def _text(*names: str) -> str:
    """Joins the names with blanks. `names_in` separates the names again, even if a name contains
    blanks.
    """
    return " ".join([name.translate(ENCODED) for name in names])


def names_in(text: str) -> list[str]:
    return [unquote(name) for name in text.split(" ")]


def what(request: ProvisioningRequest) -> str:
    """Describes the elements of a request."""
    if request.HasField("service") and not request.HasField("usage"):
        return f"{request.service.service}{_on(request.service.distributor)}"
    if request.HasField("usage"):
        return f"usage {request.usage.reference}"
    if request.HasField("installed_item"):
        item = request.installed_item
        return f"{item.goods_type} {item.serial_number}{_on(item.distributor)}"
    if request.services or request.installed_items:
        counts = (len(request.installed_items), "item"), (len(request.services), "service")
        return ", ".join(f"{count} {name}{'s' * (count != 1)}" for count, name in counts)
    return request.account.name


def _on(point: str) -> str:
    """Returns ` on ` and the distributor. Returns an empty text if the request has no distributor,
    because a platform report named no distributor for the element.
    """
    return f" on {point}" if point else ""
