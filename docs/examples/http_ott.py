"""An adapter for an OTT platform with an HTTP interface. The adapter needs only the standard
library and the client.

    python http_ott.py localhost:50051 STREAMFLIX http://ott.example.net/api

The platform's interface overwrites a whole subscriber: `PUT /subscribers/S0000000001` takes a JSON
object with the devices and the products that the subscriber has from now on. A film is bought by
`PUT /subscribers/S0000000001/purchases/ORDER` and cancelled by DELETE. Each call may be repeated.
"""

from __future__ import annotations

import json
import os
import sys
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from generic_provider import (
    Adapter,
    PlatformDown,
    ProvisioningRequest,
    Reject,
    RequestType,
    RetryLater,
    TlsFiles,
    Work,
)

SECONDS = 10.0


class Ott:
    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def call(self, method: str, *path: str, content: object = None) -> None:
        """Makes one call. If the platform refuses the call, raises the exception for the adapter's
        answer.
        """
        url = "/".join([self._url, *[quote(part, safe="") for part in path]])
        body = None if content is None else json.dumps(content).encode()
        headers = {"Content-Type": "application/json"}
        request = Request(url, body, headers, method=method)
        try:
            with urlopen(request, timeout=SECONDS):
                return
        except HTTPError as error:
            with error:
                raise self._refusal(error) from None
        except (URLError, TimeoutError, ConnectionError) as error:
            raise PlatformDown(text=str(error)) from None

    @staticmethod
    def _refusal(error: HTTPError) -> Exception:
        text = error.read(1000).decode(errors="replace")
        if error.code == HTTPStatus.TOO_MANY_REQUESTS:
            return RetryLater(float(error.headers.get("Retry-After", 1)), code="BUSY", text=text)
        if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return PlatformDown(text=f"{error.code} {text}")
        if error.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            # the adapter's password is wrong, which is no reason to take a customer's order back
            return PlatformDown(text=f"{error.code}: check the adapter's password")
        return Reject(str(error.code), text)


def reached_by() -> dict[str, Any]:
    """Returns the settings that the connection needs if the server uses TLS and a file of callers.
    They come from the environment variables GENERIC_PROVIDER_CA (a file) and
    GENERIC_PROVIDER_TOKEN.
    """
    ca = os.environ.get("GENERIC_PROVIDER_CA")
    tls = TlsFiles(ca=ca) if ca else None
    return {"tls": tls, "token": os.environ.get("GENERIC_PROVIDER_TOKEN")}


def adapter_for(server: str, provider: str, ott: Ott) -> Adapter:
    adapter = Adapter(server, provider=provider, name="http-ott", **reached_by())

    @adapter.on_connect
    def connected() -> None:
        print("connected to", server, flush=True)

    @adapter.target
    def put(
        work: Work,
    ) -> str:  # a plain function runs in a thread, so it may block
        holds = {
            "name": work.target.holder.name,
            "devices": [item.serial_number for item in work.target.items],
            "products": [service.provider_service_id for service in work.target.services],
        }
        ott.call("PUT", "subscribers", work.subscription, content=holds)
        return work.subscription

    @adapter.on(RequestType.ADD_UDR)
    def buy(request: ProvisioningRequest) -> None:
        content = {"product": request.service.provider_service_id}
        ott.call("PUT", *_purchase(request), content=content)

    @adapter.on(RequestType.CANCEL_UDR)
    def cancel(request: ProvisioningRequest) -> None:
        ott.call("DELETE", *_purchase(request))

    return adapter


def _purchase(request: ProvisioningRequest) -> tuple[str, str, str, str]:
    """Returns the path of a purchase. A call with this path may be repeated, because the path
    contains the reference of the usage record.
    """
    return "subscribers", request.subscription, "purchases", request.usage.reference


if __name__ == "__main__":
    match sys.argv[1:]:
        case [address, code, url]:
            adapter_for(address, code, Ott(url)).run()
        case _:
            sys.exit("usage: python http_ott.py SERVER PROVIDER URL-OF-THE-PLATFORM")
