"""The lines of JSON-RPC that the program reads."""

from __future__ import annotations

import json
from typing import Any, Iterator, Mapping

from ._errors import MultipeerError

# The longest line that the program reads, in bytes.
_LONGEST = 2 << 20

# The maximum size of one write to a stream, in bytes.
CHUNK = 256 << 10


def encode(message: Mapping[str, Any]) -> bytes:
    """Return a message as a line.

    A ValueError or TypeError means that JSON cannot represent it. A MultipeerError of kind "too_large" means that the
    program would not read it.
    """
    line = json.dumps(message, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode() + b"\n"
    if len(line) > _LONGEST:
        raise MultipeerError(f"{message['method']}: {len(line)} bytes of JSON, at most {_LONGEST}", "too_large")
    return line


def chunks(data: Any) -> Iterator[memoryview]:
    """Split bytes, or any other object that has a buffer, into the writes to a stream."""
    view = memoryview(data).cast("B")
    for at in range(0, len(view), CHUNK):
        yield view[at : at + CHUNK]
