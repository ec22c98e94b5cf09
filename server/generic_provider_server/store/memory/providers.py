"""Keeps every provider in memory as it is committed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ...domain.catalogue import Catalogue
from ...domain.subscription.records import ProviderRecord
from ..database import statements as sql
from ..database.rows import provider_of_row

Select = Callable[[str], Iterable[Any]]


class Providers(NamedTuple):
    """All providers as they are committed.

    When a provider has changed, the whole value is replaced.
    """

    records: Mapping[str, ProviderRecord]
    catalogues: Mapping[str, Catalogue]

    def as_stored(self, select: Select, etags: str) -> Providers:
        """Returns the providers as they are stored now. If no etag has changed, returns this value
        itself.

        `etags` is the statement that reads the etags, and may lock them.
        """
        stored = {row.code: row.etag for row in select(etags)}
        if stored == {code: record.etag for code, record in self.records.items()}:
            return self
        records = {row.code: provider_of_row(row) for row in select(sql.PROVIDERS)}
        catalogues = {code: Catalogue(record.provider) for code, record in records.items()}
        return Providers(records, catalogues)
