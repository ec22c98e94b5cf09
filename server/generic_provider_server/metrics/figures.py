"""Stores the figures of one server process, and combines the figures of several processes."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from .families import FAMILIES, Family, Kind

Key = tuple[str, ...]
"""The name of a metric, and the values of its labels."""

BUCKETS = {f.name: f.buckets for f in FAMILIES if f.kind is Kind.HISTOGRAM}


@dataclass(slots=True)
class Figures:
    """The figures of a process. The event loop changes the figures, and any thread may copy them.

    A histogram is a list: the number of observations in each bucket, the number above the limit of
    the last bucket, and the sum of all observations.
    """

    counts: dict[Key, float] = field(default_factory=dict)
    gauges: dict[Key, float] = field(default_factory=dict)
    histograms: dict[Key, list[float]] = field(default_factory=dict)

    def add(self, key: Key, more: float = 1) -> None:
        self.counts[key] = self.counts.get(key, 0) + more

    def observe(self, key: Key, *values: float) -> None:
        buckets = BUCKETS[key[0]]
        histogram = self.histograms.get(key)
        if histogram is None:
            histogram = self.histograms[key] = [0] * (len(buckets) + 2)
        for value in values:
            histogram[bisect_left(buckets, value)] += 1
        histogram[-1] += sum(values)

    def copy(self) -> Figures:
        histograms = {key: each.copy() for key, each in self.histograms.copy().items()}
        return Figures(self.counts.copy(), self.gauges.copy(), histograms)

    def keep(self, ended: Figures) -> None:
        """Adds the counters and histograms of another process, but not its gauges."""
        for key, count in ended.counts.items():
            self.add(key, count)
        for key, histogram in ended.histograms.items():
            mine = self.histograms.get(key, [0] * len(histogram))
            self.histograms[key] = [a + b for a, b in zip(mine, histogram, strict=True)]


def families(processes: Iterable[Figures]) -> Iterator[Metric]:
    """Yields every metric with the values of all processes together."""
    total = Figures()
    gauges: defaultdict[Key, list[float]] = defaultdict(list)
    for process in processes:
        total.keep(process)
        for key, value in process.gauges.items():
            gauges[key].append(value)
    found = _by_name(total.counts, gauges, total.histograms)
    for family in FAMILIES:
        yield _metric(family, found[family.name])


def _by_name(*values: Mapping[Key, Any]) -> defaultdict[str, list[tuple[Key, Any]]]:
    found: defaultdict[str, list[tuple[Key, Any]]] = defaultdict(list)
    for each in values:
        for key, value in each.items():
            found[key[0]].append((key[1:], value))
    return found


def _metric(family: Family, found: Iterable[tuple[Key, Any]]) -> Metric:
    name, text, labels = family.shown_as, family.help, family.labels
    match family.kind:
        case Kind.COUNTER:
            counter = CounterMetricFamily(name, text, labels=labels)
            for key, count in found:
                counter.add_metric(key, count)
            return counter
        case Kind.GAUGE:
            gauge = GaugeMetricFamily(name, text, labels=labels)
            for key, values in found:
                gauge.add_metric(key, family.together(values))
            return gauge
        case Kind.HISTOGRAM:
            histogram = HistogramMetricFamily(name, text, labels=labels)
            for key, value in found:
                ends = (*map(str, map(float, family.buckets)), "+Inf")
                buckets = list(zip(ends, accumulate(value[:-1]), strict=True))
                histogram.add_metric(key, buckets, sum_value=value[-1])
            return histogram
