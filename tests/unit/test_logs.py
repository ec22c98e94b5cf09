"""What becomes of log lines that cannot be written."""

from __future__ import annotations

import json
import os
import sys

import pytest

from generic_provider_server.logs import STANDARD_ERROR


@pytest.mark.timeout(20)
def test_a_reader_that_stands_still_does_not_stop_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as log, os.fdopen(writing, "w") as error:
        monkeypatch.setattr(sys, "stderr", error)
        for n in range(1_000):
            STANDARD_ERROR.write(f"{n:01000}\n")
        kept = log.read1(1_000_000).decode().splitlines()
        STANDARD_ERROR.write("it reads again\n")
        said = log.read1(1_000_000).decode().split()
        monkeypatch.undo()

    assert [int(line) for line in kept] == list(range(len(kept)))
    assert json.loads(said[0])["lines"] == 1_000 - len(kept)
    assert " ".join(said[1:]) == "it reads again"
