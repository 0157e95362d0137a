"""The values that the asyncio interface returns."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional

from ._errors import MultipeerError


def _error(params: Mapping[str, Any]) -> Optional[MultipeerError]:
    error = params.get("error")
    return MultipeerError.of(error) if error else None


@dataclass(frozen=True)
class Peer:
    """Another device. ``name`` proves nothing; ``looks_like`` is a known peer with a similar name."""

    id: str
    name: str
    state: str
    trust: str
    context: Any = None
    info: Mapping[str, str] = field(default_factory=dict)
    addresses: List[str] = field(default_factory=list)
    looks_like: str = ""
    via: str = ""  # the protocol of a device that does not run Multipeer, such as "LocalSend"
    plain: bool = False  # the exchange with it is not encrypted

    @classmethod
    def of(cls, p: Mapping[str, Any]) -> "Peer":
        return cls(
            p["id"],
            p["name"],
            p.get("state", ""),
            p.get("trust", ""),
            p.get("context"),
            p.get("info") or {},
            p.get("addresses") or [],
            p.get("looks_like", ""),
            p.get("via", ""),
            p.get("plain", False),
        )

    @property
    def connected(self) -> bool:
        """Whether there is a session, even if its connection is being re-established."""
        return self.state in {"connected", "reconnecting"}


@dataclass(frozen=True)
class Message:
    """A message. ``value`` is the decoded JSON, or bytes. It is untrusted input."""

    sender: str
    name: str
    value: Any
    topic: str = ""
    unreliable: bool = False

    @classmethod
    def of(cls, m: Mapping[str, Any]) -> "Message":
        return cls(m["from"], m["name"], value_of(m), m.get("topic", ""), m.get("unreliable", False))


def value_of(content: Mapping[str, Any]) -> Any:
    """Return the value or the bytes of a message."""
    if "data" in content:
        return base64.b64decode(content["data"])
    return content.get("body")


def content_of(value: Any) -> Dict[str, Any]:
    """Encode a value or bytes as the content of a message."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"data": base64.b64encode(bytes(value)).decode("ascii")}
    return {"body": value}


@dataclass(frozen=True)
class Transfer:
    """The state of an offer and its transfer. When ``final`` is true, ``state`` no longer changes.

    ``saved`` lists the first 100 paths.
    """

    id: str
    peer: str
    peer_name: str
    incoming: bool
    state: str
    final: bool
    names: List[str]
    files: int
    bytes: int
    done: int
    left_out: int
    saved: List[str]
    error: Optional[MultipeerError] = None
    note: str = ""
    by_peer: bool = False  # the peer paused or cancelled it
    via: str = ""  # as in Peer

    @classmethod
    def of(cls, t: Mapping[str, Any]) -> "Transfer":
        return cls(
            t["id"],
            t["peer"],
            t["peer_name"],
            t["incoming"],
            t["state"],
            t["final"],
            t.get("names") or [],
            t.get("files", 0),
            t.get("bytes", 0),
            t.get("done", 0),
            t.get("left_out", 0),
            t.get("saved") or [],
            _error(t),
            t.get("note", ""),
            t.get("by_peer", False),
            t.get("via", ""),
        )

    @property
    def delivered(self) -> bool:
        """Whether everything that was offered is stored on the receiver's disk."""
        return self.state == "delivered" and self.left_out == 0


class Event:
    """The base class of all events, which are listed below."""


@dataclass(frozen=True)
class PeerFound(Event):
    """A peer was found or has changed."""

    peer: Peer


@dataclass(frozen=True)
class PeerLost(Event):
    """A peer is no longer on the network."""

    peer: Peer


@dataclass(frozen=True)
class PeerAdded(Event):
    """A session has started; ``peer.context`` is the value from the other program."""

    peer: Peer


@dataclass(frozen=True)
class PeerRemoved(Event):
    """A session has ended; ``error`` is the reason."""

    peer: Peer
    error: Optional[MultipeerError]


@dataclass(frozen=True)
class TransferChanged(Event):
    """A transfer has changed."""

    transfer: Transfer


@dataclass(frozen=True)
class Problem(Event):
    """A problem that prevents peers from being found; ``error`` is None once it is resolved."""

    error: Optional[MultipeerError]


@dataclass(frozen=True)
class Undelivered(Event):
    """A message that ``post`` has queued was not delivered. ``peer`` is the ID of its recipient.

    Of several unread events of one peer, only the last is kept.
    """

    peer: str
    error: MultipeerError


@dataclass(frozen=True)
class MessageDropped(Event):
    """A message without a topic arrived while nothing was reading. Until reading resumes, only the first is reported."""

    message: Message


def event_of(method: str, params: Mapping[str, Any]) -> Optional[Event]:
    """Return the event of a notification, or None if it is not an event."""
    if method == "peer":
        return PeerFound(Peer.of(params["peer"]))
    if method == "peer_lost":
        return PeerLost(Peer.of(params["peer"]))
    if method == "peer_added":
        return PeerAdded(Peer.of(params["peer"]))
    if method == "peer_removed":
        return PeerRemoved(Peer.of(params["peer"]), _error(params))
    if method == "transfer":
        return TransferChanged(Transfer.of(params["transfer"]))
    if method == "undelivered":
        return Undelivered(params["peer"], MultipeerError.of(params["error"]))
    if method == "problem":
        return Problem(_error(params))
    return None
