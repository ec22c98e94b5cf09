"""Contains the common part of Client and AsyncClient: the settings of the connection, the channel,
and the RPCs.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from datetime import timedelta
from operator import methodcaller
from typing import Any, TypeVar

from google.protobuf.message import Message

from generic_provider._calls import PATHS
from generic_provider._connection import Target, Tls
from generic_provider._tls import TlsFiles
from generic_provider._values import text, timedelta_of
from generic_provider.v1.provisioning_service_pb2 import ReportPlatformStateResponse

C = TypeVar("C")
_SERIALIZE = methodcaller("SerializeToString")


class Base:
    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        tls: Tls = None,
        performed_by: str = "",
        timeout: timedelta = timedelta(seconds=30),
    ) -> None:
        """Creates a client. `address` is HOST:PORT. TLS is used unless the address belongs to this
        machine; `tls` overrides this default, and `tls=TlsFiles(ca=…)` names the files of TLS.
        `performed_by` is the default of this argument in all calls.

        If the server is unavailable, the client repeats a call until `timeout` has passed. This is
        always safe, because the repeats have the request id of the call. To repeat a call yourself
        safely, give both calls the same `request_id`.
        """
        self.performed_by = text("performed_by", performed_by or "")
        self._target = Target(address, token=token, tls=tls)
        self._metadata = self._target.metadata()
        self._timeout = timedelta_of("timeout", timeout)
        self._rpcs: dict[type[Message], Any] = {}
        self._former: list[Any] = []
        self._opened_with = self._target.credentials() if isinstance(tls, TlsFiles) else None
        self._lock = threading.Lock()
        self._opening = threading.Lock()

    @property
    def uses_tls(self) -> bool:
        return self._target.credentials() is not None

    def _rpc(self, response: type[Message]) -> Any:
        rpc = self._rpcs.get(response)
        if rpc is None:
            with self._lock:  # without the lock, the RPC could get a replaced channel
                rpc = self._rpcs[response] = self.channel.unary_unary(
                    PATHS[response.DESCRIPTOR.full_name], _SERIALIZE, response.FromString
                )
        return rpc

    def _stream(self, response: type[Message]) -> Any:
        path = PATHS[response.DESCRIPTOR.full_name]
        return self.channel.unary_stream(path, _SERIALIZE, response.FromString)

    @functools.cached_property
    def _report_rpc(self) -> Any:
        response = ReportPlatformStateResponse
        path = PATHS[response.DESCRIPTOR.full_name]
        return self.channel.stream_unary(path, _SERIALIZE, response.FromString)

    @functools.cached_property
    def channel(self) -> Any:
        """The channel to the server.

        Use the channel for calls of other services, for example health checks. The channel is
        created when it is first needed, because channels do not survive a fork.
        """
        raise NotImplementedError

    def _opened(self, open_channel: Callable[[], C]) -> C:
        """Returns the channel. Opens a channel if there is none.

        From Python 3.12 on, cached_property has no lock, so that two threads could open two
        channels, of which `close` would close only one.
        """
        with self._opening:
            found: C | None = self.__dict__.get("channel")
            if found is None:
                found = self.__dict__["channel"] = open_channel()
            return found

    def _prepare_retry(self) -> None:
        self._read_files_again()

    def _read_files_again(self) -> None:
        """Replaces the channel if the files of TLS have changed since it was created.

        The former channel stays open for the calls of other threads.
        """
        if not isinstance(self._target.tls, TlsFiles):
            return
        credentials = self._target.tls.credentials()
        with self._lock:
            if credentials is self._opened_with:
                return
            self._opened_with = credentials
            self._former.append(self.channel)
            self._rpcs.clear()
            for name in ("channel", "_report_rpc"):
                self.__dict__.pop(name, None)
