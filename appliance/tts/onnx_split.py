"""Cut a Piper voice in three, so that its sound can be made piece by piece.

A Piper voice is VITS (Kim et al. 2021, arXiv:2106.06103). Its front (text encoder, durations)
turns phonemes into a sequence of frames, which must happen at once for a whole sentence; a flow
and a HiFi-GAN decoder turn frames into samples, and that takes most of the time. Both are stacks
of convolutions: a piece of the frames with a little context on both sides gives exactly the
samples that the whole would have given. The published files hold all of it as one graph, so it
is taken apart here when a voice is loaded.

An ONNX file is a protobuf message (onnx.proto: ModelProto.graph = 7; GraphProto.node = 1,
initializer = 5, input = 11, output = 12; NodeProto.input = 1, output = 2). Taking it apart means
to copy the right fields and to name new inputs and outputs, which needs no protobuf library.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_GRAPH, _NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 7, 1, 5, 11, 12, 13
_LOW_BITS, _MORE = 127, 128
"""Of a byte of a varint: its seven bits of value, and the mark that another byte follows."""


@dataclass(frozen=True)
class Stage:
    """A part of a voice: an ONNX model, and the values by which it meets the others."""

    model: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class SplitVoice:
    """Three models that replace one; what they hand on has its frames on the last axis."""

    front: Stage
    """Inputs as the voice; outputs are those inputs of the others that need the whole text."""
    flow: Stage
    decoder: Stage
    """Its output is that of the voice."""


@dataclass(frozen=True)
class _Node:
    raw: memoryview
    inputs: list[str]
    outputs: list[str]


def split(model: bytes) -> SplitVoice | None:
    """Return the parts of *model*, or None when it is not built as expected.

    Raises:
        ValueError, IndexError: *model* is not an ONNX file.
    """
    top = list(_fields(memoryview(model)))
    graph = [f for number, value, _ in top if number == _GRAPH for f in _fields(value)]
    nodes = [
        _Node(raw, _names(value, 1), _names(value, 2))
        for number, value, raw in graph
        if number == _NODE
    ]
    inputs = {_names(value, 1)[0] for number, value, _ in graph if number == _INPUT}
    result = [_names(value, 1)[0] for number, value, _ in graph if number == _OUTPUT][:1]
    decoder = _downstream(nodes, "dec.")
    flow = _downstream(nodes, "flow.") - decoder
    late_inputs = {name for i in decoder | flow for name in nodes[i].inputs} & inputs
    if not decoder or not flow or late_inputs:
        return None
    into_flow, into_decoder = _crossing(nodes, flow), _crossing(nodes, decoder)
    from_flow = [n for n in into_decoder if any(n in nodes[i].outputs for i in flow)]
    from_front = sorted({*into_flow, *into_decoder} - {*from_flow})
    front = _upstream(nodes, from_front)
    rest = b"".join(bytes(raw) for number, _, raw in top if number != _GRAPH)

    def stage(part: set[int], ins: list[str], outs: list[str]) -> Stage:
        fields = _part_of_graph(graph, part, nodes)
        fields += b"".join(_message(_INPUT, _value_info(name)) for name in ins)
        fields += b"".join(_message(_OUTPUT, _value_info(name)) for name in outs)
        return Stage(rest + _message(_GRAPH, fields), tuple(ins), tuple(outs))

    return SplitVoice(
        stage(front, [], from_front),
        stage(flow, into_flow, from_flow),
        stage(decoder, into_decoder, result),
    )


def _downstream(nodes: list[_Node], prefix: str) -> set[int]:
    """Return the nodes that use a weight whose name begins with *prefix*, and all after them.

    ONNX lists the nodes in an order in which each comes after those that it depends on.
    """
    found: set[int] = set()
    values: set[str] = set()
    for i, node in enumerate(nodes):
        if any(name in values or name.startswith(prefix) for name in node.inputs):
            found.add(i)
            values.update(node.outputs)
    return found


def _upstream(nodes: list[_Node], wanted: Iterable[str]) -> set[int]:
    """Return the nodes that *wanted* values depend on."""
    maker = {name: i for i, node in enumerate(nodes) for name in node.outputs}
    needed: set[int] = set()
    todo = list(wanted)
    while todo:
        name = todo.pop()
        if name in maker and maker[name] not in needed:
            needed.add(maker[name])
            todo.extend(nodes[maker[name]].inputs)
    return needed


def _crossing(nodes: list[_Node], part: set[int]) -> list[str]:
    """Return the values that *part* uses and other nodes make."""
    others = {name for i, node in enumerate(nodes) if i not in part for name in node.outputs}
    return sorted({name for i in part for name in nodes[i].inputs} & others)


def _part_of_graph(
    graph: list[tuple[int, memoryview, memoryview]], part: set[int], nodes: list[_Node]
) -> bytes:
    """Return the fields of *graph* with only the nodes of *part*, what they use, no outputs."""
    used = {name for i in part for name in nodes[i].inputs}
    keep = {id(nodes[i].raw) for i in part}
    parts: list[memoryview] = []
    for number, value, raw in graph:
        if (
            number in {_OUTPUT, _VALUE_INFO}  # the latter: shapes, which are optional
            or (number == _NODE and id(raw) not in keep)
            or (number == _INITIALIZER and _names(value, 8)[0] not in used)
            or (number == _INPUT and _names(value, 1)[0] not in used)
        ):
            continue
        parts.append(raw)
    return b"".join(parts)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """Yield number, value and whole encoding of each field (protobuf wire format)."""
    at = 0
    while at < len(message):
        start = at
        key, at = _varint(message, at)
        begin = at
        match key & 7:
            case 0:
                _, at = _varint(message, at)
            case 1:
                at += 8
            case 2:
                size, begin = _varint(message, at)
                at = begin + size
            case 5:
                at += 4
            case other:
                raise ValueError(f"wire type {other} in a protobuf message")
        yield key >> 3, message[begin:at], message[start:at]


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & _LOW_BITS) << shift
        shift += 7
        if byte <= _LOW_BITS:
            return value, at


def _names(message: memoryview, number: int) -> list[str]:
    return [bytes(value).decode() for n, value, _ in _fields(message) if n == number]


def _message(number: int, content: bytes) -> bytes:
    """Return a length-delimited field."""
    key, size = number << 3 | 2, len(content)
    encoded = bytearray([key])
    while size > _LOW_BITS:
        encoded.append(size & _LOW_BITS | _MORE)
        size >>= 7
    encoded.append(size)
    return bytes(encoded) + content


def _value_info(name: str) -> bytes:
    """Return a ValueInfoProto: a float tensor (element type 1) of any shape."""
    return _message(1, name.encode()) + _message(2, _message(1, b"\x08\x01"))
