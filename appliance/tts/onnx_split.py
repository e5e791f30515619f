"""Cut a Piper voice in two, so that its sound can be made piece by piece.

A Piper voice is VITS (Kim et al. 2021, arXiv:2106.06103): text encoder, durations and flow turn
phonemes into a latent sequence; a HiFi-GAN decoder turns that into samples. Two thirds of the
time goes into the decoder, and it is a stack of convolutions: a piece of the latent sequence
with a little context on both sides gives exactly the samples that the whole would have given.
The published files hold both halves as one graph, so they are separated here when a voice is
loaded.

An ONNX file is a protobuf message (onnx.proto: ModelProto.graph = 7; GraphProto.node = 1,
initializer = 5, input = 11, output = 12; NodeProto.input = 1, output = 2). Separating means to
copy the right fields and to name a new input and output, which needs no protobuf library.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_GRAPH, _NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 7, 1, 5, 11, 12, 13
_LOW_BITS, _MORE = 127, 128
"""Of a byte of a varint: its seven bits of value, and the mark that another byte follows."""
_DECODER_WEIGHT = "dec.conv_pre.weight"
"""Weight of the decoder's first convolution; what this convolves is the latent sequence."""


@dataclass(frozen=True)
class SplitVoice:
    """Two ONNX models that replace one."""

    encoder: bytes
    """Inputs as the voice; its output is :attr:`latent`, shape (1, channels, frames)."""
    decoder: bytes
    """Input :attr:`latent` (and ``sid`` where there are several speakers); output as the voice."""
    latent: str


@dataclass(frozen=True)
class _Node:
    raw: memoryview
    inputs: list[str]
    outputs: list[str]


def split(model: bytes) -> SplitVoice | None:
    """Return the two halves of *model*, or None when it is not built as expected.

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
    outputs = [_names(value, 1)[0] for number, value, _ in graph if number == _OUTPUT]
    latent = next((n.inputs[0] for n in nodes if _DECODER_WEIGHT in n.inputs), None)
    if latent is None:
        return None
    front = _needed(nodes, [latent], stop="")
    back = _needed(nodes, outputs[:1], stop=latent)
    back_inputs = inputs & {name for i in back for name in nodes[i].inputs}
    if not back_inputs <= {"sid"}:
        return None  # the decoder looks at the text as well: it cannot work on pieces
    rest = b"".join(bytes(raw) for number, _, raw in top if number != _GRAPH)
    value = _value_info(latent)
    encoder = _graph(graph, front, nodes, drop=outputs) + _message(_OUTPUT, value)
    decoder = _message(_INPUT, value) + _graph(graph, back, nodes, drop=outputs[1:])
    return SplitVoice(rest + _message(_GRAPH, encoder), rest + _message(_GRAPH, decoder), latent)


def _needed(nodes: list[_Node], wanted: Iterable[str], stop: str) -> set[int]:
    """Return the indices of the nodes that *wanted* depends on, not looking beyond *stop*."""
    maker = {name: i for i, node in enumerate(nodes) for name in node.outputs}
    needed: set[int] = set()
    todo = list(wanted)
    while todo:
        name = todo.pop()
        if name != stop and name in maker and maker[name] not in needed:
            needed.add(maker[name])
            todo.extend(nodes[maker[name]].inputs)
    return needed


def _graph(
    graph: list[tuple[int, memoryview, memoryview]],
    needed: set[int],
    nodes: list[_Node],
    drop: list[str],
) -> bytes:
    """Return the fields of *graph* with only the *needed* nodes and what those use."""
    used = {name for i in needed for name in nodes[i].inputs}
    keep = {id(nodes[i].raw) for i in needed}
    parts: list[memoryview] = []
    for number, value, raw in graph:
        if (
            (number == _NODE and id(raw) not in keep)
            or (number == _INITIALIZER and _names(value, 8)[0] not in used)
            or (number == _INPUT and _names(value, 1)[0] not in used)
            or (number == _OUTPUT and _names(value, 1)[0] in drop)
            or number == _VALUE_INFO  # shapes of intermediate values: optional, and many
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
