"""From a table of plain values (TOML, JSON) to a frozen dataclass, with errors that name the key and what to write."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, TypeVar

from edge.errors import ProjectError
from edge.registry import suggest

T = TypeVar("T")

_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def build(cls: type[T], table: object, where: str) -> T:
    """Make a `cls` (a dataclass) of `table`; `where` is the dotted key the table stands at, for messages.

    Raises ProjectError for an unknown key (with the near one), a missing key, or a value of the wrong type.
    """
    if not isinstance(table, dict):
        raise ProjectError(f"`{where}` must be a table, not {table!r}")
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(typing.cast(Any, cls)) if f.init}
    for key in table:
        if key not in fields:
            raise ProjectError(f"unknown key `{join(where, key)}`{suggest(str(key), list(fields))}")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        key = join(where, name)
        if name in table:
            values[name] = convert(table[name], hints[name], key)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            if type(None) not in typing.get_args(hints[name]):
                raise ProjectError(f"`{key}` is missing; add it")
            values[name] = None  # `plain` leaves out what has no value
    return cls(**values)


def join(where: str, key: object) -> str:
    """The dotted name of `key` inside `where`."""
    return f"{where}.{key}" if where else str(key)


def convert(value: object, hint: Any, key: str) -> Any:
    """`value` as the annotated type `hint`; ProjectError naming `key` where it does not fit."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in args:
            return None
        others = [a for a in args if a is not type(None)]
        several = isinstance(value, list | tuple)
        return convert(value, next((a for a in others if (typing.get_origin(a) is tuple) == several), others[0]), key)
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value, key)
    if origin is dict:
        if not isinstance(value, dict):
            raise ProjectError(f"`{key}` must be a table, not {value!r}")
        return {str(k): convert(v, args[1], join(key, k)) for k, v in value.items()}
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ProjectError(f"`{key}` must be a list, not {value!r}")
        return tuple(convert(v, args[0], f"{key}[{i}]") for i, v in enumerate(value))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ProjectError(f"`{key}` must be {_NAMES.get(hint, hint.__name__)}, not {value!r}")
    return value


def plain(value: Any) -> Any:
    """The inverse: dataclasses, tuples and dicts as plain tables and lists, keys without a value left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value) if f.init)
        return {name: plain(v) for name, v in pairs if v is not None}
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value
