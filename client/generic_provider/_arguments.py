"""Names the wrong argument of a call, because protobuf refuses a value of the wrong type without a
name. Refuses a coroutine function as a hook, because nothing would await its coroutines. Makes
`help` show the arguments and the result of each method of a client.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import ParamSpec, SupportsFloat, SupportsIndex, TypeVar

from generic_provider._values import text

P = ParamSpec("P")
R = TypeVar("R")
Hook = TypeVar("Hook", bound=Callable[..., object])
Method = TypeVar("Method", bound=Callable[..., object])
_NUMBERS: dict[str, tuple[type, str]] = {
    "int": (SupportsIndex, "an integer"),
    "bool": (SupportsIndex, "True or False"),
    "float": (SupportsFloat, "a number"),
}


def named(build: Callable[P, R]) -> Callable[P, R]:
    """Returns the function with clearer errors: if the function raises TypeError because an
    argument is not the text or the number that its annotation demands, the error names the
    argument.

    The arguments are examined only after a TypeError, so correct calls do not become slower.
    """

    @functools.wraps(build)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return build(*args, **kwargs)
        except TypeError as error:
            signature = inspect.signature(build)
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError:  # Python's error names a missing or unknown argument
                raise error from None
            for argument, value in given.items():
                if value is not None:
                    _check(argument, value, str(signature.parameters[argument].annotation))
            raise

    return call


def shown(method: Method, build: Callable[..., object], returned: str) -> Method:
    """Returns the method. `help` then shows the signature of the method, and not that of `build`,
    which returns a description of the call.

    `returned`: what the method returns. In this text, {} is the type of a result of the call.
    """
    signature = inspect.signature(build)
    _, *arguments = signature.parameters.values()
    me = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    _, _, kind = str(signature.return_annotation).removesuffix("]").partition(", ")
    vars(method)["__signature__"] = inspect.Signature(
        [me, *arguments], return_annotation=returned.format(kind)
    )
    return method


def plain(hook: Hook) -> Hook:
    """Returns the hook. Raises TypeError if the hook is a coroutine function."""
    if inspect.iscoroutinefunction(hook):
        raise TypeError(f"a hook is a plain function: nothing would await {hook!r}")
    return hook


def _check(argument: str, value: object, annotation: str) -> None:
    """Raises TypeError if the value is not the text or number that the annotation demands."""
    kind = annotation.removesuffix(" | None")
    if kind == "str":
        text(argument, value)
    elif kind == "Mapping[str, str]" and isinstance(value, Mapping):
        for key, entry in value.items():
            text(f"a key of {argument}", key)
            text(f"{argument}[{key!r}]", entry)
    elif kind in _NUMBERS:
        accepted, name = _NUMBERS[kind]
        if not isinstance(value, accepted):
            raise TypeError(f"{argument} must be {name}, not {value!r}")
