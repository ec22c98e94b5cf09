from __future__ import annotations

import pytest

from generic_provider_server.store.database.arrays import array_of


@pytest.mark.parametrize(
    ("values", "literal"),
    [
        ([], "{}"),
        ([1, -2, None, 2**62], "{1,-2,NULL,4611686018427387904}"),
        (["", "NULL", None, "a b"], '{"","NULL",NULL,"a b"}'),
        (['"', "\\", ",", "{}", "é\n"], '{"\\"","\\\\",",","{}","é\n"}'),
        ([None, None], "{NULL,NULL}"),
    ],
)
def test_an_array_is_written_as_postgresql_reads_it(values: list[object], literal: str) -> None:
    assert array_of(values) == literal


def test_a_text_with_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        array_of(["a", "b\0c"])
