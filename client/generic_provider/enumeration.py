"""Contains the common methods of all enumerations."""

from __future__ import annotations

from typing import Any, ClassVar


class Enumeration:
    _members: ClassVar[dict[str, int]]

    def __init_subclass__(cls) -> None:
        cls._members = {name: value for name, value in vars(cls).items() if name.isupper()}

    @classmethod
    def name_of(cls, value: int) -> str:
        """Returns the short name of a value.

        A value that this version does not know counts as UNSPECIFIED.
        """
        names = (name for name, number in cls._members.items() if number == value)
        return next(names, "UNSPECIFIED")

    @classmethod
    def values(cls) -> list[Any]:
        """Returns every value that this version knows."""
        return list(cls._members.values())

    @classmethod
    def of(cls, given: int | str) -> Any:
        """Returns the value with this number or short name. Raises ValueError if there is no such
        value.
        """
        if isinstance(given, str):
            return cls.value_of(given)
        if isinstance(given, bool) or given not in cls._members.values():
            raise ValueError(f"{given!r} is none of {', '.join(cls._members)}")
        return given

    @classmethod
    def value_of(cls, name: str) -> Any:
        """Returns the value with this short name. Raises ValueError if there is no such value."""
        if name not in cls._members:
            raise ValueError(f"{name!r} is none of {', '.join(cls._members)}")
        return cls._members[name]
