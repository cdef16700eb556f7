"""TypeScript types of the wire, written from the msgspec structs so that the client cannot drift from the server."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import inspect as shapes

HEADER = """\
// Generated from signaling/protocol.py by `python -m signaling.schema`. Do not edit: a test fails when it drifts.
"""


def members(union: Any) -> list[type[msgspec.Struct]]:
    """The structs of a union alias, in the order they were written."""
    return list(get_args(union))


def doc(text: str | None, indent: str = "") -> str:
    """A TSDoc comment, or nothing."""
    lines = inspect.cleandoc(text or "").splitlines()
    if not lines:
        return ""
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    return f"{indent}/**\n" + "".join(f"{indent} * {line}".rstrip() + "\n" for line in lines) + f"{indent} */\n"


class Writer:
    """Turns msgspec's view of types into TypeScript; named aliases (literal unions) are written once, by name."""

    def __init__(self, aliases: dict[frozenset[Any], str]) -> None:
        self.aliases = aliases

    def of(self, kind: shapes.Type) -> str:
        """The TypeScript of one type."""
        match kind:
            case shapes.Metadata(type=inner):
                return self.of(inner)
            case shapes.StrType():
                return "string"
            case shapes.IntType() | shapes.FloatType():
                return "number"
            case shapes.BoolType():
                return "boolean"
            case shapes.NoneType():
                return "null"
            case shapes.LiteralType(values=values):
                name = self.aliases.get(frozenset(values))
                return name or " | ".join(f'"{value}"' for value in values)
            case shapes.ListType(item_type=item):
                written = self.of(item)
                return f"({written})[]" if " " in written else f"{written}[]"
            case shapes.DictType(value_type=value):
                return f"Record<string, {self.of(value)}>"
            case shapes.StructType(cls=cls):
                return str(cls.__name__)
            case shapes.UnionType(types=types):
                return " | ".join(self.of(item) for item in types)
        raise TypeError(f"no TypeScript for {kind!r}")

    def struct(self, cls: type[msgspec.Struct], *, request: bool) -> str:
        """One interface. What has a default may be left out by a sender; the server always sends every field."""
        info = shapes.type_info(cls)
        assert isinstance(info, shapes.StructType)
        out = doc(cls.__doc__) + f"export interface {cls.__name__} {{\n"
        if info.tag is not None:
            out += f'  {info.tag_field}: "{info.tag}";\n'
        for field in info.fields:
            optional = "?" if request and not field.required else ""
            out += f"  {field.encode_name}{optional}: {self.of(field.type)};\n"
        return out + "}\n"


def literals(module: ModuleType) -> dict[frozenset[Any], str]:
    """The module's named literal unions, by their values."""
    found: dict[frozenset[Any], str] = {}
    for name, value in vars(module).items():
        if get_origin(value) is Literal:
            found[frozenset(get_args(value))] = name
    return found


def _union(name: str, classes: Iterable[type], text: str) -> str:
    return doc(text) + f"export type {name} =\n" + "\n".join(f"  | {cls.__name__}" for cls in classes) + ";\n"


def render(protocol: ModuleType) -> str:
    """The whole of web/src/client/protocol.ts."""
    aliases = literals(protocol)
    writer = Writer(aliases)
    client, server = members(protocol.ClientMessage), members(protocol.ServerMessage)
    values = [
        value
        for value in vars(protocol).values()
        if isinstance(value, type) and issubclass(value, protocol.Value) and value is not protocol.Value
    ]
    sent = {protocol.TrackLabel, protocol.Tile}
    parts = [
        HEADER,
        doc("Sent in Hello; the server refuses another one.") + f"export const VERSION = {protocol.VERSION};\n",
    ]
    parts += [
        f"export type {name} = " + " | ".join(f'"{v}"' for v in get_args(getattr(protocol, name))) + ";\n"
        for name in aliases.values()
    ]
    parts.append("// --- values\n")
    parts.append(writer.struct(protocol.Caption, request=False))
    parts += [writer.struct(cls, request=cls in sent) for cls in values]
    parts.append("// --- client to server\n")
    parts += [writer.struct(cls, request=True) for cls in client]
    parts.append(_union("ClientMessage", client, "Everything a client may send."))
    parts.append("// --- server to client\n")
    parts += [writer.struct(cls, request=False) for cls in server]
    parts.append(_union("ServerMessage", server, "Everything a server may send."))
    parts.append(
        'export type ClientMessageType = ClientMessage["type"];\n'
        'export type ServerMessageType = ServerMessage["type"];\n'
    )
    parts.append(
        doc("The message of a given type, for handlers.")
        + "export type ServerMessageOf<T extends ServerMessageType> = Extract<ServerMessage, { type: T }>;\n"
    )
    return "\n".join(parts)
