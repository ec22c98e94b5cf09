"""Reads the metrics of a server, as Prometheus does."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.request import urlopen

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

PREFIX = "generic_provider_"
PORTS = random.SystemRandom()
"""A source of random numbers without a seed, so that two processes do not draw the same ports."""


@dataclass(frozen=True)
class Scrape:
    families: tuple[Metric, ...]

    def value(self, name: str, labels: Mapping[str, str] = {}, **more: str) -> float:
        """Returns the sum of the samples that have these labels; -1 if no sample has them."""
        wanted = {**labels, **more}.items()
        found = [
            sample.value
            for family in self.families
            for sample in family.samples
            if sample.name == PREFIX + name and wanted <= sample.labels.items()
        ]
        return sum(found) if found else -1

    def labels(self) -> Iterator[tuple[str, str, list[str]]]:
        """Returns the name, the type and the labels of each metric. A metric without samples has no
        labels.
        """
        for family in self.families:
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = [each for s in family.samples[:1] for each in s.labels if each != "le"]
            yield name, family.type, labels


def scrape(address: str) -> Scrape:
    with urlopen(f"http://{address}/metrics", timeout=20) as answer:
        return Scrape(tuple(text_string_to_metric_families(answer.read().decode())))


def free_port() -> int:
    """Returns a free port outside the range of outgoing connections, so a server can use the port
    again after a restart.
    """
    while True:
        port = PORTS.randrange(15_000, 32_000)
        with socket.socket() as listening, suppress(OSError):
            listening.bind(("127.0.0.1", port))
            return port
