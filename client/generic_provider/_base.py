"""Contains what Client and AsyncClient have in common: the address of the server, and the names of
its calls.
"""

from __future__ import annotations

import functools
from datetime import timedelta
from operator import methodcaller
from typing import Any

from google.protobuf.message import Message

from generic_provider._calls import PATHS
from generic_provider._connection import Target, Tls
from generic_provider._values import timedelta_of
from generic_provider.v1.provisioning_service_pb2 import ReportPlatformStateResponse

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
        """Creates a client. TLS is used unless the address belongs to this machine; `tls` overrides
        that.

        If the server is unavailable, a call is repeated until `timeout`. This is safe for all
        calls.
        """
        self.performed_by = performed_by
        self._target = Target(address, token=token, tls=tls)
        self._metadata = self._target.metadata()
        self._timeout = timedelta_of("timeout", timeout)
        self._rpcs: dict[type[Message], Any] = {}

    @property
    def uses_tls(self) -> bool:
        return self._target.credentials() is not None

    def _rpc(self, response: type[Message]) -> Any:
        if response not in self._rpcs:
            self._rpcs[response] = self._channel.unary_unary(
                PATHS[response.DESCRIPTOR.full_name], _SERIALIZE, response.FromString
            )
        return self._rpcs[response]

    def _stream(self, response: type[Message]) -> Any:
        path = PATHS[response.DESCRIPTOR.full_name]
        return self._channel.unary_stream(path, _SERIALIZE, response.FromString)

    @functools.cached_property
    def _report_rpc(self) -> Any:
        response = ReportPlatformStateResponse
        path = PATHS[response.DESCRIPTOR.full_name]
        return self._channel.stream_unary(path, _SERIALIZE, response.FromString)

    @functools.cached_property
    def _channel(self) -> Any:
        """Returns the channel.

        It is created when it is first needed, because channels do not survive a fork.
        """
        raise NotImplementedError
