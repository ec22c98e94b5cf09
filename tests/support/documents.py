"""Writes documents of subscriptions that no command would write."""

from __future__ import annotations

from generic_provider_server.commands.live_leases import Disown
from generic_provider_server.store.opening import engine_of, open_store

from .bench import Bench


async def with_document(bench: Bench, url: str, number: str, document: bytes) -> bytes:
    """Writes the document (the encoded subscription) directly into the database, because no command
    would write this document. Returns the former document.

    Afterwards the leases of the former server process belong to no process, as after a drain.
    """
    await bench.store.do(Disown(server=bench.store.server))
    await bench.store.close()
    engine = engine_of(url)
    with engine.transaction() as (tables, _):
        (row,) = tables.select("SELECT document FROM subscription WHERE number = ?", (number,))
        change = "UPDATE subscription SET document = ? WHERE number = ?"
        tables.run(change, (document, number))
    engine.close()
    bench.store = open_store(url, clock=bench.clock)
    return bytes(row.document)
