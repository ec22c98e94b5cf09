"""Measures every figure in turn and prints a table: `python -m bench [--quick] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from statistics import median

from .figures import FIGURES, Round
from .processes import CORES, two_cores

ROUNDS, SECONDS = 3, 12.0
QUICK_ROUNDS, QUICK_SECONDS = 1, 6.0
LIBRARIES = ("grpcio", "protobuf", "peewee", "msgspec")


def main() -> None:
    arguments = _arguments()
    two_cores()
    rounds = QUICK_ROUNDS if arguments.quick else ROUNDS
    seconds = QUICK_SECONDS if arguments.quick else SECONDS
    chosen = [name for name in FIGURES if not arguments.only or name.split()[0] in arguments.only]
    measured: dict[str, list[Round]] = {name: [] for name in chosen}
    for n in range(rounds):
        for name in chosen:
            print(f"round {n + 1} of {rounds}: {name} …", file=sys.stderr, flush=True)
            measured[name].append(FIGURES[name](seconds))
    print(_table(measured))
    if arguments.json:
        facts = {"machine": _machine(), "rounds": measured}
        arguments.json.write_text(json.dumps(facts, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of each")
    parser.add_argument("--only", nargs="*", default=[], metavar="P1", help="these figures only")
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


def _table(measured: dict[str, list[Round]]) -> str:
    lines = [_machine(), "", "| figure | | median | min to max |", "|---|---|---|---|"]
    for name, rounds in measured.items():
        for what in rounds[0]:
            values = [each[what] for each in rounds]
            spread = f"{_number(min(values))} to {_number(max(values))}"
            lines.append(f"| {name} | {what} | {_number(median(values))} | {spread} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


if __name__ == "__main__":
    main()
