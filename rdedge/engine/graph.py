"""What must be known of an ONNX file without the onnx package, which no device has.

Only the wire format of protocol buffers is read, along the messages that can hold a tensor
(onnx.proto, IR version 13): runtimes look for external data beside the file or in the working
directory, and a bundle has neither.
"""

from __future__ import annotations

from collections.abc import Iterator

from rdedge.errors import BundleError

# Message -> field -> message: the ways to a TensorProto.
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
}
_NAME, _EXTERNAL_DATA, _LOCATION = 8, 13, 14
_DEEPEST = 64


def refuse_external(graph: bytes, what: str) -> None:
    """Raise BundleError if graph is no ONNX file, or one whose tensors lie in other files."""
    try:
        names = list(_external(memoryview(graph), "model", 0))
    except (ValueError, IndexError) as error:
        raise BundleError(
            f"{what} is no ONNX file: {error}", do="fetch the bundle again, or export it again"
        ) from error
    if not graph:
        raise BundleError(f"{what} is empty", expected="an ONNX file", do="export it again")
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise BundleError(
            f"{what} keeps the tensor {names[0]!r}{more} in another file",
            expected="one self-contained graph",
            do="export it again with rdedge export; with other tools, save all in one file",
        )


def _external(data: memoryview, message: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise ValueError(f"graphs nested more than {_DEEPEST} deep")
    inside = _INSIDE[message]
    for number, value in _fields(data):
        kind = inside.get(number)
        if kind is None:
            continue
        if not isinstance(value, memoryview):
            raise ValueError(f"field {number} of a {message} is a number")
        if kind == "tensor":
            found = dict(_fields(value))
            if _EXTERNAL_DATA in found or found.get(_LOCATION) == 1:
                name = found.get(_NAME, b"")
                yield bytes(name).decode("utf-8", "replace") if not isinstance(name, int) else ""
        else:
            yield from _external(value, kind, depth + 1)


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Numbers and values of a message's fields; bytes of fixed size are passed over."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("a field with the number 0")
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if size > len(data) - at:
            raise ValueError("it is cut short")
        if wire == 2:
            yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("it is cut short")
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
