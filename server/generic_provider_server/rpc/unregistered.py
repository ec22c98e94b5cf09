"""Adds services of generated code to a server without registering their methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import grpc.aio


class Unregistered:
    """Passes the handlers of a service to the server, but does not register its methods.

    A registered method is found faster, but grpc.aio waits for the next call of each registered
    method in a task of its own. So every registered method makes all calls slower.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """Does nothing: the generic handlers answer the calls."""
