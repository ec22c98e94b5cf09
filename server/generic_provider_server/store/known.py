"""What is kept in memory between transactions: every provider as it is committed, the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..domain.catalogue import Catalogue
from ..domain.records import ProviderRecord, Who
from ..domain.values import Instant
from . import statements as sql
from .documents import provider_of
from .engine import Tables
from .oldest import Oldest
from .recent import Recent
from .rows import Row


@dataclass(slots=True)
class Known:
    """What the writer keeps between transactions. `clock`: nanoseconds since 1970."""

    providers: dict[str, ProviderRecord]
    catalogues: dict[str, Catalogue]
    clock: Callable[[], int]
    recent: Recent = field(default_factory=Recent)
    oldest: Oldest = field(default_factory=Oldest)
    last: Instant = Instant(0)

    def now(self) -> Instant:
        return Instant(self.clock() // 1_000)

    def tick(self) -> Instant:
        """The time of a transaction; it never stands still and never goes back."""
        self.last = Instant(max(self.now(), self.last + 1))
        return self.last


def refresh(known: Known, tables: Tables, statement: str) -> None:
    """Brings what is known up to date; `statement` says which are there, and locks them."""
    etags = dict(tables.select(statement))
    if etags == {code: record.etag for code, record in known.providers.items()}:
        return
    known.providers = _providers_in(tables)
    known.catalogues = {
        code: Catalogue(record.provider) for code, record in known.providers.items()
    }


def known_in(tables: Tables, clock: Callable[[], int]) -> Known:
    known = Known(providers={}, catalogues={}, clock=clock)
    refresh(known, tables, sql.ETAGS_AS_THEY_ARE)
    return known


def _providers_in(tables: Tables) -> dict[str, ProviderRecord]:
    return {row[0]: _record(row) for row in tables.select(sql.PROVIDERS)}


def _record(row: Row) -> ProviderRecord:
    return ProviderRecord(
        provider=provider_of(bytes(row[1])),
        etag=row[2],
        create_time=Instant(row[3]),
        update_time=Instant(row[4]),
        who=Who(performed_by=row[5], caller=row[6]),
    )
