from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from generic_provider import Client, ServerUnavailable, actions
from generic_provider_server.demo.aluxsat import provider
from support.postgres import own_postgres
from support.processes import Server, simulated_adapter, wait_until

CODE = "ALUXSAT"
BECOME = actions.BecomeSubscriber(type="DTH", provider=CODE, services=[])


@pytest.mark.postgresql
def test_without_its_database_a_server_says_so_and_comes_back_by_itself(tmp_path: Path) -> None:
    with (
        own_postgres() as postgres,
        Server(tmp_path, database=postgres.create_database()) as server,
        Client(server.address) as crm,
        Client(server.address, timeout=timedelta(seconds=1)) as hurried,
        grpc.insecure_channel(server.address) as channel,
        simulated_adapter("adapter", server=server, provider=CODE),
    ):
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )

        def serving() -> bool:
            status: int = check(HealthCheckRequest()).status
            return status == HealthCheckResponse.SERVING

        crm.create_provider(provider(CODE))
        crm.set_provider_state(CODE, state="EFFECTIVE")
        wait_until(lambda: len(list(crm.list_adapters())) == 1, what="the adapter is connected")
        assert serving()
        postgres.stop("immediate")
        for call in (
            lambda: hurried.perform(BECOME, subscription="S1"),
            lambda: hurried.get_subscription("S1"),
        ):
            with pytest.raises(ServerUnavailable) as refused:
                call()
            assert refused.value.reason == "STORE_UNAVAILABLE"
        wait_until(lambda: not serving(), what="health says that it does not serve")
        postgres.start()
        wait_until(serving, what="health says that it serves")
        crm.perform(BECOME, subscription="S2")
        wait_until(lambda: not crm.get_backlog(CODE).pending, what="the adapter delivers again")
