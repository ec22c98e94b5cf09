"""Tests that the examples do what the documentation says, on a server in this process."""

from __future__ import annotations

import asyncio
import json
import runpy
import sqlite3
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from generic_provider import (
    ActionState,
    Adapter,
    AsyncClient,
    Distributor,
    GoodsMapping,
    Provider,
    Reject,
    Service,
    ServiceKind,
    actions,
    testing,
)
from generic_provider_server.app import running
from generic_provider_server.config import Settings

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
OLD, NEW = "00 17", "0018"
PROVIDER = Provider(
    code="P",
    distributors=[Distributor(code="MAIN", required_goods_types=["SMARTCARD"])],
    services=[
        Service(code="SPORT", provider_service_id="1001"),
        Service(code="FILM", provider_service_id="1003"),
        Service(code="RENT", provider_service_id="9", kind=ServiceKind.USAGE),
    ],
    goods=[GoodsMapping(goods_type="SMARTCARD", provider_goods_type="CARD")],
)
FAMILY = actions.BecomeSubscriber(
    type="DTH",
    provider="P",
    items=[("MAIN", "SMARTCARD", OLD)],
    services=[("MAIN", "SPORT")],
)
FILM = actions.AddServices(services=[("MAIN", "FILM")])
SWAP = actions.SwapItem(old_serial_number=OLD, new_item=("MAIN", "SMARTCARD", NEW))


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    settings = Settings(listen="127.0.0.1:0", database=f"sqlite:///{tmp_path / 'x.db'}")
    async with running(settings) as served:
        async with AsyncClient(served) as client:
            await client.create_provider(PROVIDER)
            await client.set_provider_state("P", state="EFFECTIVE")
        yield served


def _example(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / name))


@asynccontextmanager
async def _served(adapter: Adapter) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(adapter.serve())
        yield
        adapter.stop()


async def _results(address: str, *wanted: actions.Action) -> list[str]:
    """Performs the actions on S1 one after the other, and returns the result of each."""
    results = list[str]()
    async with AsyncClient(address) as crm:
        for action in wanted:
            done = (await crm.perform(action, subscription="S1")).action
            settled = await crm.get_action(done.id, wait=timedelta(seconds=30))
            results.append(f"{ActionState.name_of(settled.state)} {settled.error.error_code}")
    return results


async def test_the_adapter_of_the_text_protocol_puts_products_on_cards(address: str) -> None:
    example, products = _example("text_protocol_cas.py"), defaultdict[str, set[str]](set)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            while line := (await reader.readline()).decode():
                number, verb, card, *given = map(unquote, line.split())
                answer = f"{number} OK"
                match verb:
                    case "SET":
                        products[card] = {*given}
                    case "ADD" if given == ["1003"]:
                        answer = f"{number} ERR E42 not on this card"
                    case "ADD":
                        products[card] |= {*given}
                    case _:
                        products[card] -= {*given}
                writer.write(f"{answer}\n".encode())

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        cas = example["Cas"](*listening.sockets[0].getsockname())
        with closing(cas):
            await _play_on_cards(address, example["adapter_for"](address, "P", cas), products)


async def _play_on_cards(address: str, adapter: Adapter, products: dict[str, set[str]]) -> None:
    async with _served(adapter):
        assert await _results(address, FAMILY) == ["SETTLED "]
        assert products == {OLD: {"1001"}}
        assert await _results(address, FILM, SWAP) == ["REJECTED E42", "SETTLED "]
        assert products == {OLD: set(), NEW: {"1001"}}


@contextmanager
def _platform(held: dict[str, Any]) -> Iterator[str]:
    """Runs an OTT platform, and yields its address. `held`: what the platform holds, by path."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if "1003" in wanted.get("products", ()):
                self.send_response(409)
            else:
                held[self.path] = wanted
                self.send_response(204)
            self.end_headers()

        def do_DELETE(self) -> None:
            held.pop(self.path, None)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Writes no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/api"
        finally:
            server.shutdown()
            serving.join()


async def test_the_adapter_of_the_http_platform_puts_the_whole_set(address: str) -> None:
    example, held = _example("http_ott.py"), dict[str, Any]()
    now = datetime.now(UTC)
    rent = actions.AddUsage(
        distributor="MAIN",
        service="RENT",
        reference="order/7",
        start_time=now,
        end_time=now + timedelta(days=1),
    )
    with _platform(held) as url:
        adapter = example["adapter_for"](address, "P", example["Ott"](url))
        async with _served(adapter):
            assert await _results(address, FAMILY, FILM, SWAP, rent) == [
                "SETTLED ",
                "REJECTED 409",
                "SETTLED ",
                "SETTLED ",
            ]
    assert held == {
        "/api/subscribers/S1": {"name": "", "devices": [NEW], "products": ["1001"]},
        "/api/subscribers/S1/purchases/order%2F7": {"product": "9"},
    }


async def test_the_crm_goes_on_where_it_was_killed(address: str, tmp_path: Path) -> None:
    example, platform = _example("crm_with_events.py"), testing.FakePlatform()
    platform.fail(Reject("E42", "not on this card"), type="ACTIVATE_SERVICE", service="FILM")
    file = tmp_path / "crm.db"

    def first() -> str:
        with closing(example["Crm"](address, file)) as crm:
            order: str = crm.order(FAMILY)
            crm.send()
            assert crm.state(order) == ("PERFORMED", "")
            next(crm.follow())
            assert crm.state(order) == ("SETTLED", "")
            forgotten: str = crm.order(FILM, subscription=crm.subscription(order))
            crm.send()
        with closing(sqlite3.connect(file)) as database, database:
            forget = "UPDATE orders SET state = 'OPEN' WHERE id = ?"
            database.execute(forget, (forgotten,))
        return forgotten

    def then(forgotten: str) -> list[str]:
        with closing(example["Crm"](address, file)) as crm:
            crm.send()
            events = crm.follow()
            kinds = [str(next(events).WhichOneof("change")) for _ in range(2)]
            assert crm.state(forgotten) == ("REJECTED", "E42 not on this card")
            return kinds

    def play() -> list[str]:
        with platform.serving(address, provider="P"):
            return then(first())

    assert await asyncio.to_thread(play) == ["subscription_rolled_back", "action_settled"]
    async with AsyncClient(address) as client:
        assert len([each async for each in client.list_actions()]) == 2


@pytest.mark.parametrize(
    "typed",
    [
        ("text_protocol_cas.py",),
        ("text_protocol_cas.py", "localhost:1", "P", "localhost", "abc"),
        ("http_ott.py",),
        ("crm_with_events.py",),
    ],
)
def test_a_wrong_command_line_gets_the_usage(typed: tuple[str, ...]) -> None:
    name, *arguments = typed
    command = [sys.executable, str(EXAMPLES / name), *arguments]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith(f"usage: python {name} SERVER ")
    assert len(done.stderr.splitlines()) == 1
