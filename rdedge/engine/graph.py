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
# Fields of a TensorProto, and of a NodeProto.
_DATA_TYPE, _NAME, _EXTERNAL_DATA, _LOCATION = 2, 8, 13, 14
_OPERATOR = 4
_FLOAT16 = 10
_DEEPEST = 64


def refuse_external(graph: bytes, what: str) -> None:
    """Raise BundleError if graph is no ONNX file, or one whose tensors lie in other files."""
    if not graph:
        raise BundleError(f"{what} is empty", expected="an ONNX file", do="export it again")
    names = []
    for kind, fields in _parts(graph, what):
        if kind == "tensor" and (_EXTERNAL_DATA in fields or fields.get(_LOCATION) == 1):
            names.append(_text(fields.get(_NAME)))
    if names:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        raise BundleError(
            f"{what} keeps the tensor {names[0]!r}{more} in another file",
            expected="one self-contained graph",
            do="export it again with rdedge export; with other tools, save all in one file",
        )


def precision_of(graph: bytes, what: str) -> str:
    """What a graph computes in, by its operators and its tensors: "int8", "fp16" or "fp32"."""
    parts = _parts(graph, what)
    if any(k == "node" and _text(f.get(_OPERATOR)) == "QuantizeLinear" for k, f in parts):
        return "int8"
    half = any(k == "tensor" and f.get(_DATA_TYPE) == _FLOAT16 for k, f in parts)
    return "fp16" if half else "fp32"


def operators(graph: bytes, what: str) -> int:
    """How many operators a graph has: about as many calls of a kernel, before they are fused."""
    return sum(kind == "node" for kind, _ in _parts(graph, what))


def _text(value: memoryview | int | None) -> str:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, memoryview) else ""


def _parts(graph: bytes, what: str) -> list[tuple[str, dict[int, memoryview | int]]]:
    """All nodes and tensors: which it is, and the last value of each of its fields."""
    try:
        return list(_walk(memoryview(graph), "model", 0))
    except ValueError as error:
        raise BundleError(
            f"{what} is no ONNX file: {error}", do="fetch the bundle again, or export it again"
        ) from error


def _walk(
    data: memoryview, message: str, depth: int
) -> Iterator[tuple[str, dict[int, memoryview | int]]]:
    if depth > _DEEPEST:
        raise ValueError(f"graphs nested more than {_DEEPEST} deep")
    for number, value in _fields(data):
        kind = _INSIDE[message].get(number)
        if kind is None:
            continue
        if not isinstance(value, memoryview):
            raise ValueError(f"field {number} of a {message} is a number")
        if kind in ("tensor", "node"):
            yield kind, dict(_fields(value))
        if kind in _INSIDE:
            yield from _walk(value, kind, depth + 1)


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
