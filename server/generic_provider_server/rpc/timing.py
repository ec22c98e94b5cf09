"""Measures the duration of calls for the metrics."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import grpc

from .access import Context

Observe = Callable[[str, str, float], None]
"""A function that is called after each call, with the name of the RPC, the name of the status code
and the duration in seconds.
"""


def timed(
    method: str, handler: grpc.RpcMethodHandler[Any, Any], observe: Observe | None
) -> grpc.RpcMethodHandler[Any, Any]:
    """Returns a handler that calls `handler` and measures each call."""
    if observe is None:
        return handler
    coders = handler.request_deserializer, handler.response_serializer
    if handler.unary_stream:
        stream = _timed_stream(method, handler.unary_stream, observe)
        return grpc.unary_stream_rpc_method_handler(stream, *coders)
    if handler.stream_unary:
        return grpc.stream_unary_rpc_method_handler(
            _timed(method, handler.stream_unary, observe), *coders
        )
    return grpc.unary_unary_rpc_method_handler(
        _timed(method, handler.unary_unary, observe), *coders
    )


def _timed(method: str, run: Any, observe: Observe) -> Any:
    async def measured(request: Any, context: Context) -> Any:
        with _measured(method, context, observe):
            return await run(request, context)

    return measured


def _timed_stream(method: str, run: Any, observe: Observe) -> Any:
    async def measured(request: Any, context: Context) -> AsyncIterator[Any]:
        with _measured(method, context, observe):
            async with aclosing(run(request, context)) as responses:
                async for response in responses:
                    yield response

    return measured


@contextmanager
def _measured(method: str, context: Context, observe: Observe) -> Iterator[None]:
    began, code = time.perf_counter(), grpc.StatusCode.OK.name
    try:
        yield
    except BaseException:
        code = _code(context)
        raise
    finally:
        observe(method, code, time.perf_counter() - began)


def _code(context: Context) -> str:
    """Returns the name of the status code of a call that failed. If the server has set no status,
    the client has cancelled the call.
    """
    status: Any = context.code()  # the code has the number 0 until it is set
    return (status if isinstance(status, grpc.StatusCode) else grpc.StatusCode.CANCELLED).name
