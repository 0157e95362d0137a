"""The class of the Pythonista module multipeer."""

from __future__ import annotations

import base64
import json
import queue
import re
import sys
import threading
import traceback
from typing import Any, Callable, Dict, List, Optional, Sequence, Union

from ._errors import MultipeerError
from ._lines import chunks
from ._program import WINDOW
from ._rpc import Connection

_SERVICE = re.compile(r"[a-z0-9-]{1,15}\Z")
_STREAM = "stream"
_PIECE = 1024

# How many messages may wait for the streams of their senders to open: all peers share the window of messages that the
# program has not handled yet.
MOST_HELD = WINDOW // 4

# Errors that the original ignores: the peer has left, or there is none.
_LOST = {"not_connected", "no_peer", "nobody", "lost", "bye", "kicked", "closed"}


def _printable(value: Any) -> str:
    """Return a peer's value as text without control characters, which a terminal would obey."""
    text = str(value)
    return text if text.isprintable() else ascii(value)


class PeerID:
    """Identifies a peer. ``display_name`` is for display and is not unique."""

    def __init__(self, key: str, display_name: str) -> None:
        self.key = key
        self.display_name = display_name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PeerID) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"PeerID({self.key[:8]!r}, {self.display_name!r})"


Recipients = Union[PeerID, Sequence[PeerID], None]


class MultipeerConnectivity:
    """Communicates with peers of the same service type. Subclass it to react to them.

    The object advertises and browses from the start, and connects to every peer that it finds. The methods that a
    subclass overrides are called one at a time, on one thread that is not the main thread; an exception in one is
    printed.

    display_name: 1 to 63 bytes of UTF-8. service_type: 1 to 15 characters of a-z, 0-9 and -. initial_data: any value
    that JSON can represent; peers read it with ``get_initial_data``. initialize_streams: open the stream to each peer
    before ``peer_added`` is called.
    """

    def __init__(
        self,
        display_name: str = "Peer",
        service_type: str = "dev-srv",
        initial_data: Any = None,
        initialize_streams: bool = False,
    ) -> None:
        if not isinstance(display_name, str) or not 1 <= len(display_name.encode("utf-8", "surrogatepass")) <= 63:
            raise ValueError("display_name must be 1 to 63 bytes of UTF-8", display_name)
        if not isinstance(service_type, str) or not _SERVICE.match(service_type):
            raise ValueError("service_type must be 1 to 15 characters of a-z, 0-9 and -", service_type)
        json.dumps(initial_data)  # a TypeError now, not later
        self._initialize_streams = initialize_streams
        self._peers: Dict[str, PeerID] = {}
        self._initial: Dict[str, Any] = {}
        self._streams: Dict[str, int] = {}
        self._lock = threading.Lock()
        self._ended = False
        self._handled = 0
        # Used by the reading thread, by peer: peer_added callbacks, and callbacks that wait for the stream to open.
        self._added: Dict[str, List[Dict[str, Any]]] = {}
        self._opening: Dict[str, List[Callable[[], None]]] = {}
        self._held: Dict[str, int] = {}  # by peer: how many of these callbacks are messages
        self._events: "queue.Queue[Optional[Callable[[], None]]]" = queue.Queue()
        self._openers: Dict[str, threading.Lock] = {}  # by peer: held while the stream to it is opened
        self._rpc = Connection(self._notified, self._stopped)
        try:
            started = self._rpc.call(
                "start",
                name=display_name,
                service=service_type,
                context=initial_data,
                invite="everyone",
                accept="everyone",
                window=WINDOW,
                hidden=True,
                blind=True,
            )
            self._rpc.call("handle_stream", name=_STREAM)
            if not started["hosted"]:  # peers may find this one now that it accepts streams
                self._rpc.call("set_advertising", on=True)
                self._rpc.call("set_browsing", on=True)
        except MultipeerError as error:
            self._rpc.close()
            if error.kind == "invalid":
                bad = service_type if "service" in str(error) else display_name
                raise ValueError(str(error), bad) from None
            raise
        self._self = PeerID(started["self"]["id"], started["self"]["name"])
        self._thread = threading.Thread(target=self._run, name="multipeer callbacks", daemon=True)
        self._thread.start()

    # Methods for subclasses to override.

    def peer_added(self, peer_id: PeerID) -> None:
        """Called when a peer is connected. ``get_initial_data`` returns its initial data."""
        print("Added peer", peer_id.display_name)
        print("Initial data:", _printable(self.get_initial_data(peer_id)))

    def peer_removed(self, peer_id: PeerID) -> None:
        """Called when a peer that was added has disconnected."""
        print("Removed peer", peer_id.display_name)

    def receive(self, message: Any, from_peer: PeerID) -> None:
        """Called when a message has arrived."""
        print("Message from", from_peer.display_name, "-", _printable(message))

    def stream_receive(self, byte_data: bytes, from_peer: PeerID) -> None:
        """Called with up to 1,024 bytes from a peer's stream. Boundaries between calls have no meaning."""
        print("Stream data from", from_peer.display_name, "-", byte_data)

    # Methods for programs to call.

    def get_self(self) -> PeerID:
        """Return the ID of this peer."""
        return self._self

    def get_peers(self) -> List[PeerID]:
        """List the connected peers."""
        with self._lock:
            return list(self._peers.values())

    def get_initial_data(self, peer_id: PeerID) -> Any:
        """Return the initial_data of the peer's program, or None."""
        with self._lock:
            return self._initial.get(peer_id.key)

    def start_looking_for_peers(self) -> None:
        """Look for peers and let others find this one, as at the start."""
        self._looking(True)

    def stop_looking_for_peers(self) -> None:
        """Stop looking for peers and advertising. Existing connections stay open."""
        self._looking(False)

    def _looking(self, on: bool) -> None:
        self._rpc.call("set_advertising", on=on)
        self._rpc.call("set_browsing", on=on)

    def send(self, message: Any, to_peer: Recipients = None, reliable: bool = True) -> None:
        """Send a JSON value to one peer, a list of peers, or all connected peers.

        Reliable messages arrive in order and exactly once. Sending waits while a peer reads slowly. A message to a peer
        that has left, or to no peer, is lost without an error. An unreliable message has at most 1,100 bytes of JSON
        and may be lost. TypeError means that JSON cannot represent the message.
        """
        json.dumps(message)
        to = self._recipients(to_peer)
        if to == []:
            return
        try:
            self._rpc.call("post" if reliable else "datagram", to=to, body=message)
        except MultipeerError as error:
            self._raise_unless_lost(error)

    def _raise_unless_lost(self, error: MultipeerError) -> None:
        """Raise an error, unless it only means that a peer has left or that this object has ended."""
        with self._lock:
            ended = self._ended
        if error.kind not in _LOST or self._rpc.closed and not ended:
            raise error

    def stream(self, byte_data: bytes, to_peer: Recipients = None) -> None:
        """Write bytes to the stream of one peer, a list of peers, or all connected peers.

        It waits while a peer does not read. Bytes to a peer that has left are lost without an error.
        """
        parts = list(chunks(byte_data))
        to = self._recipients(to_peer)
        keys = [p.key for p in self.get_peers()] if to == "all" else list(dict.fromkeys(to))
        with self._lock:
            open_ = [key for key in keys if key in self._streams]
        failed = self._write_all(open_, parts)  # before it waits for other peers to take a new stream
        new = [key for key in keys if key not in open_]
        failed += self._open_streams(new)
        failed += self._write_all(new, parts)
        for error in failed:
            if error.kind not in {"no_such_handle", "stream_reset", "cancelled"}:
                self._raise_unless_lost(error)

    def _open_streams(self, keys: List[str]) -> List[MultipeerError]:
        """Open the streams to peers, unless another thread does, and return the errors."""
        failed = []
        with self._lock:
            locks = [self._openers.setdefault(key, threading.Lock()) for key in sorted(keys)]
        for lock in locks:
            lock.acquire()
        try:
            with self._lock:
                new = [key for key in keys if key not in self._streams]
            opened = self._rpc.call_all([("open_stream", {"peer": key, "name": _STREAM}) for key in new])
            for key, (result, error) in zip(new, opened):
                if error is None:
                    with self._lock:
                        self._streams[key] = result["stream"]
                else:
                    failed.append(error)
        finally:
            for lock in locks:
                lock.release()
        return failed

    def disconnect(self) -> None:
        """Close all connections. Peers reconnect while this object looks for peers."""
        self._rpc.call("leave")

    def end_all(self) -> None:
        """Deliver pending messages, disconnect and stop. Idempotent; may be called from a callback."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
        self._rpc.close()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # Internals.

    @staticmethod
    def _recipients(to_peer: Recipients) -> Any:
        if to_peer is None:
            return "all"
        if isinstance(to_peer, PeerID):
            return [to_peer.key]
        return [p.key for p in to_peer]

    def _write_all(self, keys: List[str], parts: List[memoryview]) -> List[MultipeerError]:
        """Write parts to the open streams of peers, and return the errors."""
        failed: List[MultipeerError] = []
        for part in parts:
            failed += self._write_to(keys, base64.b64encode(part).decode("ascii"))
        return failed

    def _write_to(self, keys: List[str], data: str) -> List[MultipeerError]:
        with self._lock:
            numbers = [(key, self._streams[key]) for key in keys if key in self._streams]
        answers = self._rpc.call_all([("write", {"stream": number, "data": data}) for _, number in numbers])
        failed = []
        for (key, _), (_, error) in zip(numbers, answers):
            if error is not None:
                failed.append(error)
                with self._lock:
                    self._streams.pop(key, None)
        return failed

    def _stopped(self) -> None:
        """Report all peers as removed if the program has exited on its own, and end the thread of callbacks."""

        def remove() -> None:
            with self._lock:
                keys = [] if self._ended else list(self._peers)
            for key in keys:
                try:
                    self._on_peer_removed({"peer": {"id": key}})
                except Exception:  # noqa: BLE001  an error in one callback does not keep the others from running
                    traceback.print_exc(file=sys.stderr)

        self._events.put(remove)
        self._events.put(None)

    def _run(self) -> None:
        while True:
            event = self._events.get()
            if event is None:
                return
            try:
                event()
            except Exception:  # noqa: BLE001  an error in a callback does not end the thread
                traceback.print_exc(file=sys.stderr)

    def _notified(self, method: str, params: Dict[str, Any]) -> None:
        handle = getattr(self, "_on_" + method, None)
        if handle is None:
            return
        waiting = [params]  # emptied if the callback is no longer needed
        callback = lambda: handle(waiting.pop()) if waiting else None  # noqa: E731
        if method == "peer_added":
            key = params["peer"]["id"]
            self._added[key] = waiting
            if self._initialize_streams and key not in self._opening:
                self._opening[key] = [callback]
                self._events.put(lambda: self._open_first(key))
                return
        elif method == "peer_removed":
            key = params["peer"]["id"]
            unseen = self._added.pop(key, None)
            if unseen:  # a peer that comes and goes during a callback is never reported
                unseen.clear()
                return
        else:
            key = params.get("from") or params.get("peer") or ""
        held = self._opening.get(key)
        if held is None:
            self._events.put(callback)
            return
        held.append(callback)
        if method == "message":
            self._held[key] = self._held.get(key, 0) + 1
            if sum(self._held.values()) > MOST_HELD:
                self._release(key)

    def _release(self, key: str) -> None:
        """Run the callbacks that have waited for the stream of a peer."""
        self._held.pop(key, None)
        for callback in self._opening.pop(key, []):
            self._events.put(callback)

    def _open_first(self, key: str) -> None:
        """Open the stream to a new peer. Its callbacks wait for it; those of other peers do not."""

        def opened(result: Optional[Dict[str, Any]], error: Optional[MultipeerError]) -> None:
            if error is None and result is not None:
                with self._lock:
                    self._streams[key] = result["stream"]
            self._release(key)

        self._rpc.request("open_stream", {"peer": key, "name": _STREAM}, opened)

    def _on_peer_added(self, params: Dict[str, Any]) -> None:
        peer = PeerID(params["peer"]["id"], params["peer"]["name"])
        with self._lock:
            self._peers[peer.key] = peer
            self._initial[peer.key] = params["peer"].get("context")
        self.peer_added(peer)

    def _on_peer_removed(self, params: Dict[str, Any]) -> None:
        key = params["peer"]["id"]
        with self._lock:
            peer = self._peers.pop(key, None)
            self._streams.pop(key, None)
        if peer is not None:
            self.peer_removed(peer)

    def _on_message(self, params: Dict[str, Any]) -> None:
        self._handled += 1
        if self._handled >= WINDOW // 4:
            self._rpc.notify("credit", {"messages": self._handled})
            self._handled = 0
        sender = self._sender(params["from"], params["name"])
        if "data" in params:  # bytes; the original cannot send them
            self.receive(base64.b64decode(params["data"]), sender)
        else:
            self.receive(params.get("body"), sender)

    def _on_stream(self, params: Dict[str, Any]) -> None:
        self._read(params["stream"], params["peer"])

    def _read(self, number: int, key: str) -> None:
        """Read the next bytes after the previous ones have been handled."""

        def answer(result: Optional[Dict[str, Any]], error: Optional[MultipeerError]) -> None:
            if error is None and result is not None:
                self._events.put(lambda: self._read_done(number, key, result))
            else:
                self._events.put(lambda: self._close_stream(number))  # the reading thread must not write

        self._rpc.request("read", {"stream": number, "max": 64 * _PIECE}, answer)

    def _read_done(self, number: int, key: str, result: Dict[str, Any]) -> None:
        data = base64.b64decode(result["data"])
        if result.get("end"):
            self._close_stream(number)
        else:
            self._read(number, key)
        sender = self._sender(key, key[:8])
        for at in range(0, len(data), _PIECE):
            self.stream_receive(data[at : at + _PIECE], sender)

    def _close_stream(self, number: int) -> None:
        self._rpc.request("close", {"stream": number}, lambda result, error: None)

    def _sender(self, key: str, name: str) -> PeerID:
        with self._lock:
            return self._peers.get(key) or PeerID(key, name)
