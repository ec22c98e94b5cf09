"""Keeps in memory the committed state of the providers, as this process last read or changed it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ...domain.catalogue import Catalogue
from ...domain.subscription.records import ProviderRecord
from ..database import statements as sql
from ..database.rows import provider_of_row

Select = Callable[[str], Iterable[Any]]


class Providers(NamedTuple):
    """All providers, in their committed state as this process last read or changed it.

    After a change of a provider, a new object replaces this object.
    """

    records: Mapping[str, ProviderRecord]
    catalogues: Mapping[str, Catalogue]

    def as_stored(self, select: Select, etags: str) -> Providers:
        """Returns the providers as the database contains them now. Returns this object itself if no
        etag has changed.

        `etags` is the statement that reads the etags; this statement may also lock the rows.
        """
        stored = {row.code: row.etag for row in select(etags)}
        if stored == {code: record.etag for code, record in self.records.items()}:
            return self
        records = {row.code: provider_of_row(row) for row in select(sql.PROVIDERS)}
        catalogues = {code: Catalogue(record.provider) for code, record in records.items()}
        return Providers(records, catalogues)
