"""Measures every figure in turn and prints a table: `python -m bench [--quick] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from .brokers import versions
from .databases import Databases
from .figures import FIGURES
from .loads import Round, Run
from .processes import CORES, two_cores
from .results import table

ROUNDS, SECONDS = 3, 12.0
QUICK_ROUNDS, QUICK_SECONDS = 1, 4.0
LIBRARIES = ("grpcio", "protobuf", "peewee", "msgspec", "psycopg")


def main() -> None:
    arguments = _arguments()
    two_cores()
    measured: dict[str, list[Round]] = {}
    with Databases() as databases:
        seconds = QUICK_SECONDS if arguments.quick else SECONDS
        run = Run(seconds=seconds, quick=arguments.quick, databases=databases)
        try:
            _measure(run, _chosen(arguments), measured)
        finally:
            # if a figure fails, the figures that were measured before are not lost
            _report(arguments, measured, databases)


def _measure(run: Run, chosen: list[str], measured: dict[str, list[Round]]) -> None:
    rounds = QUICK_ROUNDS if run.quick else ROUNDS
    for n in range(rounds):
        for name in chosen:
            if n and FIGURES[name].once:
                continue
            title = FIGURES[name].title
            print(f"round {n + 1} of {rounds}: {name} {title} …", file=sys.stderr, flush=True)
            found = FIGURES[name].measure(run)
            measured.setdefault(name, []).append(found)


def _report(
    arguments: argparse.Namespace, measured: dict[str, list[Round]], databases: Databases
) -> None:
    brokers = versions() if "P3r" in measured else []
    machine = ", ".join([_machine(), *databases.versions(), *brokers])
    print("\n".join([machine, "", *table(measured)]))
    if arguments.quick:
        print("\nQuick: one short round of each figure, with smaller states.")
    if arguments.json:
        aims = {name: dict(FIGURES[name].aims) for name in measured}
        facts = {"machine": machine, "quick": arguments.quick, "rounds": measured, "aims": aims}
        arguments.json.write_text(json.dumps(facts, indent=2) + "\n")


def _chosen(arguments: argparse.Namespace) -> list[str]:
    if arguments.only:
        return [name for name in FIGURES if name in arguments.only]
    return [name for name, figure in FIGURES.items() if figure.quick or not arguments.quick]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of most figures")
    parser.add_argument(
        "--only",
        nargs="*",
        default=[],
        choices=FIGURES,
        metavar="P1",
        help="measure only these figures",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round to a file")
    return parser.parse_args()


def _machine() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{CORES} cores of {_processor()}, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {libraries}"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "an unknown processor"


if __name__ == "__main__":
    main()
