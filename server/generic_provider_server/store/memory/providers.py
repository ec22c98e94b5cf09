"""Keeps every provider in memory as it is committed, and the clock of transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ...domain.catalogue import Catalogue
from ...domain.subscription.records import ProviderRecord
from ...domain.values import Instant
from ..database import statements as sql
from ..database.rows import provider_of_row
from .scan_start import ScanStarts
from .set_aside import SetAsides
from .subscriptions import Recent

Select = Callable[[str], Iterable[Any]]


class SetUp(NamedTuple):
    """Every provider as it is committed."""

    providers: Mapping[str, ProviderRecord]
    catalogues: Mapping[str, Catalogue]


@dataclass(slots=True)
class Known:
    """What is kept between transactions. `clock`: nanoseconds since 1970.

    Readers and the writer replace `set_up` as a whole. The etags show whether a value is old.
    """

    clock: Callable[[], int]
    set_up: SetUp = SetUp({}, {})
    recent: Recent = field(default_factory=Recent)
    scan_starts: ScanStarts = field(default_factory=ScanStarts)
    set_asides: SetAsides = field(default_factory=SetAsides)
    last: Instant = Instant(0)

    def now(self) -> Instant:
        return Instant(self.clock() // 1_000)

    def tick(self) -> Instant:
        """Returns the time of a transaction. It is always later than the one before."""
        self.last = Instant(max(self.now(), self.last + 1))
        return self.last


def refresh(known: Known, select: Select, statement: str) -> None:
    """Updates the providers. `statement` reads their etags, and may lock them."""
    etags = {row.code: row.etag for row in select(statement)}
    if etags == {code: record.etag for code, record in known.set_up.providers.items()}:
        return
    providers = {row.code: provider_of_row(row) for row in select(sql.PROVIDERS)}
    known.set_up = SetUp(
        providers, {code: Catalogue(record.provider) for code, record in providers.items()}
    )
