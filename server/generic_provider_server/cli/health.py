"""Defines the command `health`."""

from __future__ import annotations

import sys

import click
import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from generic_provider import Client

from ..desk.output import json_line, say
from .connecting.connection import Connection
from .connecting.options import connection_options
from .connecting.reaching import refuse_unreachable
from .failures import REFUSED, NotReached
from .values import Seconds

CHECK = "/grpc.health.v1.Health/Check"
LOST = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@click.command()
@connection_options()
@click.option(
    "--service", default="", help="The name of a gRPC service. Default: the whole server."
)
@click.option(
    "--timeout",
    type=Seconds(),
    default=5,
    show_default=True,
    help="The seconds to wait for the server.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def health(*, connection: Connection, service: str, timeout: float, as_json: bool) -> None:
    """Print the health of a server. The command is for probes.

    \b
    Exit codes: 0 the server serves, 1 the server does not serve (it drains, or
    has lost its database), 2 wrong usage, 3 the server was not reached.
    """
    try:
        with Client(connection.server, tls=connection.tls()) as client:
            check = client.channel.unary_unary(
                CHECK, HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
            )
            answer = check(HealthCheckRequest(service=service), timeout=timeout)
    except grpc.RpcError as error:
        raise _failure(error, connection) from None
    status = HealthCheckResponse.ServingStatus.Name(answer.status)
    shown = json_line({"server": connection.server, "status": status})
    say(shown if as_json else f"{connection.server} {status}")
    if answer.status != HealthCheckResponse.SERVING:
        sys.exit(REFUSED)


def _failure(error: grpc.RpcError, connection: Connection) -> click.ClickException:
    if error.code() is grpc.StatusCode.NOT_FOUND:
        return click.ClickException("the server has no such service: check --service")
    if error.code() not in LOST:
        return click.ClickException(f"the server refuses health checks: {error.details()}")
    refuse_unreachable(connection)
    return NotReached(f"{connection.server} was not reached: {error.details()}")
