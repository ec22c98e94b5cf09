"""An adapter for a conditional access system with a text protocol over TCP.

    python text_protocol_cas.py localhost:50051 CONAX cas.example.net 7071

The protocol has one line for each command and one line for each answer. A command begins with an
id, and the answer begins with the same id. The CAS knows cards, and the products that each card may
receive:

    R0000000042 ADD 0012345678 1001
    R0000000042 OK
    R0000000043 ADD 0012345678 1003
    R0000000043 ERR E42 not on this card

`SET card product…` gives a card exactly these products, `ADD` and `DEL` change one product. Each
command may be repeated: the CAS answers OK if the card already has the requested state.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from generic_provider import (
    Adapter,
    InstalledItem,
    PlatformDown,
    ProvisionedService,
    ProvisioningRequest,
    Reject,
    RequestType,
    TlsFiles,
)

SECONDS = 10.0


class Cas:
    """The only connection to the CAS. The first command opens the connection, and so does the next
    command after a fault. Commands are sent one after the other.
    """

    def __init__(self, host: str, port: int) -> None:
        self._place = host, port
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def command(self, number: str, verb: str, *words: str) -> None:
        """Sends one command. Raises Reject if the CAS refuses the command, and PlatformDown if the
        CAS cannot be reached or does not answer.
        """
        # a blank in a serial number would begin another word of the command
        line = " ".join([number, verb, *[quote(word, safe="") for word in words]])
        async with self._turn:
            try:
                async with asyncio.timeout(SECONDS):
                    answer = await self._answer(line)
            except (OSError, TimeoutError) as error:
                raise PlatformDown(text=f"the CAS does not answer: {error!r}") from error
        match answer.split(maxsplit=3):
            case [_, "OK"]:
                return
            case [_, "ERR", code, *text]:
                raise Reject(code, " ".join(text))
            case _:
                raise PlatformDown(text=f"the CAS answers {answer!r}")

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None

    async def _answer(self, line: str) -> str:
        streams, self._streams = self._streams, None
        reader, writer = streams or await asyncio.open_connection(*self._place)
        try:
            writer.write(f"{line}\n".encode())
            await writer.drain()
            answer = (await reader.readline()).decode().strip()
            if answer.partition(" ")[0] != line.partition(" ")[0]:
                raise ConnectionError(f"{answer!r} answers another command")
        except BaseException:
            writer.close()  # a late answer must not be read as the answer of the next command
            raise
        self._streams = reader, writer
        return answer


def reached_by() -> dict[str, Any]:
    """Returns the settings that the connection needs if the server uses TLS and a file of callers.
    They come from the environment variables GENERIC_PROVIDER_CA (a file) and
    GENERIC_PROVIDER_TOKEN.
    """
    ca = os.environ.get("GENERIC_PROVIDER_CA")
    tls = TlsFiles(ca=ca) if ca else None
    return {"tls": tls, "token": os.environ.get("GENERIC_PROVIDER_TOKEN")}


def adapter_for(server: str, provider: str, cas: Cas) -> Adapter:
    adapter = Adapter(
        server, provider=provider, name="text-protocol-cas", max_in_flight=20, **reached_by()
    )

    @adapter.on_connect
    def connected() -> None:
        print("connected to", server, flush=True)

    @adapter.on(RequestType.BECOME_SUBSCRIBER)
    async def create(request: ProvisioningRequest) -> str:
        for card in cards(request.installed_items):
            products = [each.provider_service_id for each in request.services if has(each, card)]
            await cas.command(request.number, "SET", card, *products)
        return request.subscription  # the CAS has no account numbers of its own

    @adapter.on(RequestType.ACTIVATE_SERVICE)
    async def switch_on(request: ProvisioningRequest) -> None:
        await change("ADD", request)

    @adapter.on(RequestType.DEACTIVATE_SERVICE)
    async def switch_off(request: ProvisioningRequest) -> None:
        await change("DEL", request)

    async def change(verb: str, request: ProvisioningRequest) -> None:
        service = request.service
        for card in cards(service.items):
            await cas.command(request.number, verb, card, service.provider_service_id)

    @adapter.on(RequestType.ADD_INSTALLED_ITEM, RequestType.REMOVE_INSTALLED_ITEM)
    async def empty(request: ProvisioningRequest) -> None:
        # a new or removed card has no products; separate requests switch services on
        for card in cards([request.installed_item]):
            await cas.command(request.number, "SET", card)

    @adapter.on(RequestType.UPDATE_SUBSCRIBER, RequestType.UPDATE_ADDRESS)
    async def nothing(_: ProvisioningRequest) -> None:
        """Does nothing, because this CAS stores no names and addresses."""

    return adapter


def cards(items: Iterable[InstalledItem]) -> list[str]:
    return [item.serial_number for item in items if item.provider_goods_type == "CARD"]


def has(service: ProvisionedService, card: str) -> bool:
    return card in cards(service.items)


if __name__ == "__main__":
    match sys.argv[1:]:
        case [address, code, host, port] if port.isdecimal():
            adapter_for(address, code, Cas(host, int(port))).run()
        case _:
            sys.exit("usage: python text_protocol_cas.py SERVER PROVIDER CAS-HOST CAS-PORT")
