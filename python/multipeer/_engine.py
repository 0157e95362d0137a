"""The asyncio interface."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
from typing import Any, AsyncIterator, Awaitable, Callable, Dict, Iterable, List, Mapping, Optional, Set, Tuple, Union

from ._errors import MultipeerError
from ._events import EventQueue
from ._lines import CHUNK, chunks, encode
from ._program import WINDOW, command
from ._values import (
    Event,
    Message,
    MessageDropped,
    Peer,
    PeerAdded,
    PeerFound,
    PeerLost,
    PeerRemoved,
    Problem,
    Transfer,
    TransferChanged,
    Undelivered,
    content_of,
    event_of,
    value_of,
)

__all__ = [
    "Engine",
    "Event",
    "Invitation",
    "Message",
    "MessageDropped",
    "Offer",
    "Peer",
    "PeerAdded",
    "PeerFound",
    "PeerLost",
    "PeerRemoved",
    "Problem",
    "Stream",
    "Topic",
    "Transfer",
    "TransferChanged",
    "Undelivered",
]

To = Union[str, Peer, Iterable[Union[str, Peer]], None]

# How many messages are kept for the first reader. The rest of the window is for topics.
_EARLY = WINDOW // 4

# The engine cuts longer reasons for a failed request, in bytes.
_LONGEST_ERROR = 1024


def _id(peer: Union[str, Peer]) -> str:
    return peer.id if isinstance(peer, Peer) else peer


def _to(to: To) -> Any:
    if to is None:
        return "all"
    if isinstance(to, (str, Peer)):
        return [_id(to)]
    return [_id(p) for p in to]


class Engine:
    """One peer on the network. Use it with ``async with``: the end of the block delivers pending messages and stops the
    engine. It does not wait for files: call ``wait`` for each offer first.

    name: the display name. service: the service type; programs with the same one find each other. invite, accept: which
    peers the engine connects to automatically, ``"nobody"``, ``"verified"``, ``"known"`` or ``"everyone"``. offers: which
    peers may offer files without being connected; connected ones always may. context: a value that peers get with
    PeerAdded. profile: a folder that stores the identity. Without a profile, the identity is new at every start: after a
    restart, peers see a different device, and transfers cannot resume. localsend: also exchange files and text with
    devices that have LocalSend (``Peer.via``). Other keyword arguments are settings of ``start`` in docs/json-rpc.md,
    such as ``interfaces=["lo"]``.

    Register handlers (``handle_stream``, ``handle_offers``, ``handle_invitations``, ``Topic.answer``) before the block,
    so that nothing arrives too early: other peers find the engine once they are in place.

    Methods take a ``Peer`` or its ID, not a name: ``find`` and ``wait_for`` look up a name.

    Iterate over ``events()`` and ``messages()``. Both end when ``close`` is called, and raise a MultipeerError of kind
    "closed" if the program exits on its own. Senders wait while a reader is slow. Up to 64 messages are kept until the
    first call of ``messages()``. After that, messages that arrive while nothing reads are dropped, and the first of
    them is reported as a MessageDropped.
    """

    def __init__(
        self,
        name: Optional[str] = None,
        service: Optional[str] = None,
        *,
        invite: str = "nobody",
        accept: str = "nobody",
        offers: str = "nobody",
        context: Any = None,
        profile: Optional[str] = None,
        localsend: bool = False,
        **settings: Any,
    ) -> None:
        self._settings: Dict[str, Any] = {"invite": invite, "accept": accept, "offers": offers, "window": WINDOW, **settings}
        for key, value in (("name", name), ("service", service), ("context", context)):
            if value is not None:
                self._settings[key] = value
        self._command = command(profile, localsend)
        self._numbers = itertools.count(1)
        self._answers: Dict[int, "asyncio.Future[Dict[str, Any]]"] = {}
        self._readers: Dict[str, Set["asyncio.Queue[Any]"]] = {}
        self._tasks: Set["asyncio.Task[Any]"] = set()
        self._offers: Optional[Callable[["Offer"], Awaitable[None]]] = None
        self._invitations: Optional[Callable[["Invitation"], Awaitable[None]]] = None
        self._stream_handlers: Dict[str, Callable[["Stream"], Awaitable[None]]] = {}
        self._answerers: Dict[str, Callable[[Message], Awaitable[Any]]] = {}
        self._questions: Dict[Tuple[str, int], Tuple[Any, Any]] = {}  # offers and invitations with a running handler
        self._early: List[Message] = []  # received before the first reader
        self._had_reader = False
        self._dropping = False  # a MessageDropped was reported since the last reader
        self._handled = 0
        self._before_start: List[Tuple[str, Dict[str, Any]]] = []  # handlers to register at the start
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._process: Optional[asyncio.subprocess.Process] = None
        self._reading: Optional["asyncio.Task[None]"] = None
        self._closed = False
        self.id = ""
        self.name = ""

    async def __aenter__(self) -> "Engine":
        self._loop = asyncio.get_running_loop()
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        self._reading = asyncio.ensure_future(self._read())
        try:
            await self._open()
        except BaseException:
            await self.close()
            raise
        return self

    async def _open(self) -> None:
        # Until the handlers are registered, no peer finds this engine: what a peer sent would be refused.
        quiet = {"hidden": True, "blind": True} if self._before_start else {}
        started = await self._call("start", **{**self._settings, **quiet})
        self.id, self.name = started["self"]["id"], started["self"]["name"]
        for method, params in self._before_start:
            await self._call(method, **params)
        if quiet and not started["hosted"]:
            for setting, method in (("hidden", "set_advertising"), ("blind", "set_browsing")):
                if not self._settings.get(setting):
                    await self._call(method, on=True)

    async def _register(self, method: str, **params: Any) -> None:
        if self._process is None and not self._closed:
            self._before_start.append((method, params))
        else:
            await self._call(method, **params)

    async def __aexit__(self, *_: Any) -> None:
        await self.close()

    async def close(self) -> None:
        """Deliver pending messages for at most 5 s, then stop. It does not wait for transfers. Idempotent."""
        if self._process is None or self._closed:
            return
        self._closed = True
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 20)
        except asyncio.TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._reading is not None:
            await self._reading
        current = asyncio.current_task()
        for task in list(self._tasks):
            if task is not current:
                task.cancel()
        await asyncio.gather(*(t for t in self._tasks if t is not current), return_exceptions=True)

    # Peers.

    async def peers(self) -> List[Peer]:
        """List all peers that the engine currently knows, connected or not."""
        return [Peer.of(p) for p in (await self._call("peers"))["peers"]]

    async def find(self, who: str) -> Peer:
        """Return the peer with a name, an ID or the start of an ID, as a person would type it."""
        return Peer.of((await self._call("find", who=who))["peer"])

    async def wait_for(self, who: str, timeout: float = 20) -> Peer:
        """Wait until a peer is connected, given its name or ID as a person would type it.

        As in ``find``, a name means the known peer with that name, not a stranger that uses the same name.
        """
        async with self._reader("event") as events:
            deadline = asyncio.get_running_loop().time() + timeout
            while True:
                peer, why = await self._find_connected(who)
                if peer is not None:
                    return peer
                left = deadline - asyncio.get_running_loop().time()
                try:
                    event = await asyncio.wait_for(events.get(), left)
                except asyncio.TimeoutError:
                    raise MultipeerError(f"{who} was not connected within {timeout:g} s{why}", "timeout") from None
                if event is None:
                    raise MultipeerError(f"the engine stopped before {who} was connected", "closed")

    async def _find_connected(self, who: str) -> Tuple[Optional[Peer], str]:
        """Return the peer with a name or an ID if it is connected, otherwise the reason as the end of a sentence."""
        try:
            peer = await self.find(who)
        except MultipeerError as error:
            if error.kind in ("closed", "invalid"):
                raise
            return None, f": {error}"
        return (peer, "") if peer.connected else (None, "")

    async def invite(self, peer: Union[str, Peer], context: Any = None, *, person: bool = False) -> None:
        """Ask for a session, and wait until the peer accepts.

        ``person=True`` means that a person decided to invite, which makes the peer known. Otherwise the program did.
        """
        params: Dict[str, Any] = {"peer": _id(peer), "person": person}
        if context is not None:
            params["context"] = context
        await self._call("invite", **params)

    async def disconnect(self, peer: Union[str, Peer]) -> None:
        """End the session with a peer permanently."""
        await self._call("disconnect", peer=_id(peer))

    async def dial(self, target: str) -> str:
        """Connect to an address or a ticket, and return the peer's ID."""
        return (await self._call("dial", target=target))["peer"]

    async def ticket(self) -> str:
        """Return a ticket that lets another device connect if multicast does not work."""
        return (await self._call("ticket"))["ticket"]

    async def ping(self, peer: Union[str, Peer], mode: str = "reliable") -> float:
        """Return the round-trip time in seconds."""
        return (await self._call("ping", peer=_id(peer), mode=mode))["rtt_ms"] / 1000

    async def call(self, method: str, **params: Any) -> Dict[str, Any]:
        """Call any method from docs/json-rpc.md."""
        return await self._call(method, **params)

    # Events and messages.

    def events(self) -> AsyncIterator[Event]:
        """Yield events.

        It begins with a PeerFound for each peer that the engine knows, and a PeerAdded if the peer is connected.
        Earlier transfers appear with their next change.
        """
        return _Steps(self, self._all_events())

    async def _all_events(self) -> AsyncIterator[Event]:
        async with self._reader("event") as queue:
            events: EventQueue = queue  # type: ignore[assignment]
            for p in await self.peers():
                events.show(p.id)
                yield PeerFound(p)
                if p.connected and p.id not in events.cancelled:
                    events.added.add(p.id)
                    yield PeerAdded(p)
            events.cancelled = None
            while True:
                event = await events.get()
                if event is None:
                    self._check_end()
                    return
                if events.is_new(event):
                    yield event

    def messages(self) -> AsyncIterator[Message]:
        """Yield the messages without a topic that arrive after this call.

        The first call also yields up to 64 messages that arrived before it.
        """
        reader = self._reader("topic ")
        reader.open()
        if not self._had_reader:
            self._had_reader = True
            reader.add(self._early)
            self._early = []
        self._dropping = False
        return _Messages(self, reader)

    async def send(self, value: Any, to: To = None, *, topic: str = "") -> None:
        """Send a JSON value or bytes to one peer, several peers, or all connected peers.

        It waits until the engine of each peer has received the message. That does not mean that the peer's program has
        read it; use ``Topic.request`` to get a reply. If delivery fails, it raises the error of the first such peer.
        """
        results = (await self._call("send", to=_to(to), topic=topic, **content_of(value)))["results"]
        for result in results:
            if result.get("error"):
                raise MultipeerError.of(result["error"])

    async def post(self, value: Any, to: To = None, *, topic: str = "") -> None:
        """Queue a message. Wait only while too many are pending. Messages to the same peer arrive in order.

        It raises an error if the message cannot be queued for any peer. A message that is lost later is reported as
        Undelivered.
        """
        await self._call("post", to=_to(to), topic=topic, **content_of(value))

    async def datagram(self, value: Any, to: To = None, *, topic: str = "") -> None:
        """Send a small message without retransmission: it may be lost."""
        await self._call("datagram", to=_to(to), topic=topic, **content_of(value))

    def topic(self, name: str) -> "Topic":
        """Return the channel for the messages of one topic."""
        return Topic(self, name)

    # Streams.

    async def open_stream(self, peer: Union[str, Peer], name: str) -> "Stream":
        """Open a bidirectional byte stream."""
        return Stream(self, await self._call("open_stream", peer=_id(peer), name=name))

    async def handle_stream(self, name: str, handler: Callable[["Stream"], Awaitable[None]]) -> None:
        """Call ``handler`` for each incoming stream with this name, in its own task. Close the stream when it returns.

        A second handler for the same name raises a MultipeerError of kind "busy".
        """
        if name in self._stream_handlers:
            raise MultipeerError(f"streams named {name!r} already have a handler", "busy")
        self._stream_handlers[name] = handler
        try:
            await self._register("handle_stream", name=name)
        except MultipeerError:
            del self._stream_handlers[name]
            raise

    # Files.

    async def offer(
        self, peer: Union[str, Peer], *paths: str, keep: bool = False, name: str = "", note: str = "", preview: Optional[bytes] = None,
        data: Optional[bytes] = None, person: bool = False,
    ) -> Transfer:
        """Offer files and folders. ``wait`` returns when the transfer has ended.

        ``keep`` keeps the offer until an offline peer returns. ``name`` replaces the name of a single path, and
        ``note`` is text that the other side shows. ``preview`` is a small picture of the content, at most 12 KiB of JPEG
        or PNG. Instead of paths, ``data`` can hold the content of one file, at most 1.5 MB, which is sent as ``name``.
        ``person=True`` means that a person decided to send, which makes a peer that accepts known.
        """
        given = {"data": data, "preview": preview}
        more = {key: base64.b64encode(value).decode() for key, value in given.items() if value is not None}
        answer = await self._call("offer", peer=_id(peer), paths=[os.path.abspath(path) for path in paths], keep=keep, name=name, note=note, person=person, **more)
        return Transfer.of(answer["transfer"])

    async def wait(self, transfer: Union[str, Transfer]) -> Transfer:
        """Wait until a transfer has ended."""
        number = transfer.id if isinstance(transfer, Transfer) else transfer
        return Transfer.of((await self._call("wait", transfer=number))["transfer"])

    def progress(self, transfer: Transfer) -> AsyncIterator[Transfer]:
        """Yield each change of a transfer; the last value is its final state."""
        return _Steps(self, self._all_progress(transfer))

    async def _all_progress(self, transfer: Transfer) -> AsyncIterator[Transfer]:
        async with self._reader("event") as events:
            yield transfer
            ended = asyncio.ensure_future(self.wait(transfer))
            try:
                while not ended.done():
                    getting = asyncio.ensure_future(events.get())
                    await asyncio.wait({getting, ended}, return_when=asyncio.FIRST_COMPLETED)
                    if not getting.done():
                        getting.cancel()
                        break
                    event = getting.result()
                    if event is None:
                        break
                    if isinstance(event, TransferChanged) and event.transfer.id == transfer.id and not event.transfer.final:
                        yield event.transfer
                yield await ended
            finally:
                ended.cancel()

    async def cancel(self, transfer: Transfer) -> None:
        """Withdraw an offer or cancel a transfer, on both sides."""
        await self._call("cancel", transfer=transfer.id)

    async def handle_offers(self, handler: Callable[["Offer"], Awaitable[None]]) -> None:
        """Call ``handler`` for each incoming offer, in its own task.

        An offer that the handler neither accepts nor declines before it returns is declined. If the offer is withdrawn
        first, the handler's task is cancelled. There can be only one handler: a second call raises a MultipeerError of
        kind "busy". A peer that was never accepted can have at most two open offers; further offers fail with "busy",
        so senders should pass several files in one ``offer``.
        """
        if self._offers is not None:
            raise MultipeerError("offers already have a handler", "busy")
        self._offers = handler  # before the call: an offer may arrive first
        try:
            await self._register("handle_offers")
        except MultipeerError:
            self._offers = None
            raise

    async def handle_invitations(self, handler: Callable[["Invitation"], Awaitable[None]]) -> None:
        """Call ``handler`` for each incoming invitation, in its own task.

        An invitation that the handler does not answer before it returns is declined. If the invitation is withdrawn
        first, the handler's task is cancelled.
        """
        if self._invitations is not None:
            raise MultipeerError("invitations already have a handler", "busy")
        self._invitations = handler
        try:
            await self._register("handle_invitations")
        except MultipeerError:
            self._invitations = None
            raise

    # Internals.

    async def _call(self, method: str, **params: Any) -> Dict[str, Any]:
        if self._process is None or self._reading is None or self._reading.done() or (self._closed and method != "start"):
            raise MultipeerError("the engine is not running", "closed")
        number = next(self._numbers)
        future: "asyncio.Future[Dict[str, Any]]" = asyncio.get_running_loop().create_future()
        self._answers[number] = future
        try:
            await self._write(encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params}))
            return await future
        finally:
            self._answers.pop(number, None)

    async def _write(self, line: bytes) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            await self._process.stdin.drain()
        except (ConnectionError, RuntimeError):  # the program has exited: _read fails the pending calls
            pass

    async def _read(self) -> None:
        """Handle the output of the program until it ends."""
        assert self._process is not None and self._process.stdout is not None
        rest = b""
        try:
            while True:
                chunk = await self._process.stdout.read(1 << 16)
                if not chunk:
                    return
                lines = (rest + chunk).split(b"\n") if b"\n" in chunk else [rest + chunk]
                rest = lines.pop()
                for line in lines:
                    self._take(json.loads(line))
        finally:
            self._ended()

    def _take(self, message: Mapping[str, Any]) -> None:
        """Handle one line from the program."""
        if "method" in message:
            self._notified(message["method"], message.get("params") or {})
            return
        future = self._answers.get(message.get("id"))
        if future is None or future.done():
            return
        if message.get("error"):
            future.set_exception(MultipeerError.of(message["error"]))
        else:
            future.set_result(message.get("result") or {})

    def _ended(self) -> None:
        """Fail every pending call, and stop the program if it still runs, because nothing reads its output."""
        for future in self._answers.values():
            if not future.done():
                future.set_exception(MultipeerError("the engine stopped before it answered the call", "closed"))
        for queues in self._readers.values():
            for q in queues:
                q.put_nowait(None)
        if not self._closed and self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def _notified(self, method: str, params: Dict[str, Any]) -> None:
        if method == "message":
            queues = self._readers.get("topic " + params.get("topic", ""), set())
            message = Message.of(params)
            for q in queues:
                q.put_nowait(message)
            if not queues:
                self._unread(message)
        elif method == "offer":
            self._ask((method, params["offer"]), Offer(self, params), self._offers)
        elif method == "invitation":
            self._ask((method, params["invitation"]), Invitation(self, params), self._invitations)
        elif method in ("offer_closed", "invitation_closed"):
            kind = method.split("_")[0]
            self._withdrawn((kind, params[kind]))
        elif method == "request":
            self._start(self._reply(params))
        elif method == "stream":
            self._start(self._serve(Stream(self, params)))
        else:
            event = event_of(method, params)
            if event is not None:
                for q in self._readers.get("event", set()):
                    q.put_nowait(event)

    def _unread(self, message: Message) -> None:
        """Keep or drop a message that nothing reads."""
        if not message.topic and not self._had_reader and len(self._early) < _EARLY:
            self._early.append(message)
            return
        self._credit()
        if message.topic or self._dropping:
            return
        self._dropping = True
        for q in self._readers.get("event", set()):
            q.put_nowait(MessageDropped(message))

    def _ask(self, key: Tuple[str, int], question: Any, handler: Optional[Callable[[Any], Awaitable[None]]]) -> None:
        """Start a handler for an offer or an invitation."""
        task = self._start(self._decide(question, handler))
        self._questions[key] = (question, task)
        task.add_done_callback(lambda _: self._questions.pop(key, None))

    def _withdrawn(self, key: Tuple[str, int]) -> None:
        """Cancel the handler of a withdrawn offer or invitation, unless it has answered."""
        question, task = self._questions.pop(key, (None, None))
        if question is not None and task is not None and not question.answered:
            question.answered = True
            task.cancel()

    async def _decide(self, question: Any, handler: Optional[Callable[[Any], Awaitable[None]]]) -> None:
        try:
            if handler is not None:
                await handler(question)
        finally:
            if not question.answered and not self._closed:
                try:
                    await question.decline()
                except MultipeerError:
                    pass  # it has been withdrawn

    def _check_end(self) -> None:
        """Raise an error unless close was called."""
        if not self._closed:
            code = self._process.returncode if self._process is not None else None
            how = "" if code is None else f" with exit code {code}"
            raise MultipeerError(f"the program multipeer-cli has ended{how}", "closed")

    def _credit(self) -> None:
        """Report from time to time how many messages were handled, so that the program sends more."""
        self._handled += 1
        if self._handled >= WINDOW // 4 and not self._closed:
            handled, self._handled = self._handled, 0
            self._start(self._write(encode({"jsonrpc": "2.0", "method": "credit", "params": {"messages": handled}})))

    def _keep(self, work: Awaitable[Any]) -> "asyncio.Future[Any]":
        """Run work to its end, whoever waits for it, or until the engine is closed."""
        task: Any = asyncio.ensure_future(work)
        self._tasks.add(task)

        def done(task: Any) -> None:
            self._tasks.discard(task)
            if not task.cancelled():
                task.exception()  # whoever waits for the task gets it; otherwise no one does

        task.add_done_callback(done)
        return task

    def _start(self, work: Awaitable[Any]) -> "asyncio.Future[Any]":
        task: Any = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a multipeer handler failed", "exception": task.exception(), "task": task}
            )

    def _reader(self, key: str) -> "_Reader":
        return _Reader(self, key)

    async def _topic_messages(self, topic: str) -> AsyncIterator[Message]:
        async with self._reader("topic " + topic) as messages:
            await self._call("subscribe", topic=topic)
            try:
                while True:
                    message = await messages.get()
                    if message is None:
                        self._check_end()
                        return
                    self._credit()
                    yield message
            finally:
                if not self._closed:
                    try:
                        await self._call("unsubscribe", topic=topic)
                    except MultipeerError:
                        pass  # the engine has ended

    async def _reply(self, params: Dict[str, Any]) -> None:
        request = params["request"]
        try:
            answer = content_of(await self._answerers[params["topic"]](Message.of(params)))
            await self._call("reply", request=request, **answer)
        except Exception as error:  # noqa: BLE001  the requester gets the error
            await self._reply_failed(request, error)
        except asyncio.CancelledError as error:  # the handler's own; or the engine ends
            await self._reply_failed(request, error)
            raise

    async def _reply_failed(self, request: int, error: BaseException) -> None:
        if self._closed:
            return
        text = str(error).encode(errors="replace")[:_LONGEST_ERROR].decode(errors="ignore")
        try:
            await self._call("reply", request=request, error=text or type(error).__name__)
        except MultipeerError:
            pass  # the requester no longer waits

    async def _serve(self, stream: "Stream") -> None:
        handler = self._stream_handlers.get(stream.name) or self._stream_handlers.get("")
        try:
            if handler is not None:
                await handler(stream)
        finally:
            if not self._closed:
                await stream.close()


class _Reader:
    """A queue of events, or of the messages with one topic. It is filled while it is open."""

    def __init__(self, engine: Engine, key: str) -> None:
        self._engine, self._key = engine, key
        self._queue: "asyncio.Queue[Any]" = EventQueue() if key == "event" else asyncio.Queue()

    def open(self) -> "asyncio.Queue[Any]":
        self._engine._readers.setdefault(self._key, set()).add(self._queue)
        if self._engine._reading is not None and self._engine._reading.done():
            self._queue.put_nowait(None)
        return self._queue

    def add(self, items: Iterable[Any]) -> None:
        for item in items:
            self._queue.put_nowait(item)

    async def next(self) -> Any:
        return await self._queue.get()

    def close(self) -> None:
        self._engine._readers[self._key].discard(self._queue)
        while not self._queue.empty():
            if isinstance(self._queue.get_nowait(), Message):
                self._engine._credit()

    async def __aenter__(self) -> "asyncio.Queue[Any]":
        return self.open()

    async def __aexit__(self, *_: Any) -> None:
        self.close()


class _Steps:
    """An asynchronous generator that continues after a cancelled step, for example by ``asyncio.wait_for``.

    Without it, the cancellation would end the generator.
    """

    def __init__(self, engine: Engine, generator: Any) -> None:
        self._engine, self._generator = engine, generator
        self._step: Optional["asyncio.Future[Any]"] = None  # a step that nobody has got the value of

    def __aiter__(self) -> "_Steps":
        return self

    async def __anext__(self) -> Any:
        if self._step is None:
            self._step = self._engine._keep(self._generator.__anext__())
        step = self._step
        try:
            value = await asyncio.shield(step)
        except asyncio.CancelledError:
            if step.cancelled():  # otherwise the next step gets its value
                self._step = None
            raise
        except BaseException:
            self._step = None
            raise
        self._step = None
        return value

    async def aclose(self) -> None:
        """Stop the generator."""
        step, self._step = self._step, None
        if step is not None:
            step.cancel()
            await asyncio.gather(step, return_exceptions=True)
        await self._generator.aclose()

    def __del__(self) -> None:
        step, loop = self._step, self._engine._loop
        if step is not None and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(step.cancel)


class _Messages:
    """The messages of one reader, from its creation until it is closed or garbage-collected."""

    def __init__(self, engine: Engine, reader: _Reader) -> None:
        self._engine, self._reader, self._ended = engine, reader, False

    def __aiter__(self) -> "_Messages":
        return self

    async def __anext__(self) -> Message:
        if self._ended:
            raise StopAsyncIteration
        message = await self._reader.next()
        if message is None:
            await self.aclose()
            self._engine._check_end()
            raise StopAsyncIteration
        self._engine._credit()
        result: Message = message
        return result

    async def aclose(self) -> None:
        """Stop reading."""
        if not self._ended:
            self._ended = True
            self._reader.close()

    def __del__(self) -> None:
        loop = self._engine._loop
        if not self._ended and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._reader.close)


class Topic:
    """A separate channel for the messages of one part of a program. Other parts do not see them."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine, self.name = engine, name

    def messages(self) -> AsyncIterator[Message]:
        """Yield the messages of this topic. Reading starts with the first step of the iteration."""
        return _Steps(self._engine, self._engine._topic_messages(self.name))

    async def send(self, value: Any, to: To = None) -> None:
        """Like Engine.send, for this topic."""
        await self._engine.send(value, to, topic=self.name)

    async def post(self, value: Any, to: To = None) -> None:
        """Like Engine.post, for this topic."""
        await self._engine.post(value, to, topic=self.name)

    async def request(self, value: Any, to: Union[str, Peer], timeout: float = 30) -> Any:
        """Send a request to a peer and return its reply."""
        params = content_of(value)
        return value_of(await self._engine._call("request", to=_id(to), topic=self.name, timeout_s=timeout, **params))

    async def answer(self, handler: Callable[[Message], Awaitable[Any]]) -> None:
        """Call ``handler`` for each request.

        It returns a JSON value or bytes, or raises an exception, whose text the peer gets. The handler runs to
        completion even if the peer has given up. A topic can have only one handler: a second call raises a
        MultipeerError of kind "busy".
        """
        answerers = self._engine._answerers
        if self.name in answerers:
            raise MultipeerError(f"the topic {self.name!r} already has a handler", "busy")
        answerers[self.name] = handler
        try:
            await self._engine._register("answer", topic=self.name)
        except MultipeerError:
            del answerers[self.name]
            raise


class Stream:
    """A bidirectional byte stream with flow control: ``write`` waits while the other side does not read."""

    def __init__(self, engine: Engine, opened: Mapping[str, Any]) -> None:
        self._engine = engine
        self._number: int = opened["stream"]
        self.peer: str = opened["peer"]
        self.name: str = opened["name"]
        self._reading: Optional["asyncio.Future[Dict[str, Any]]"] = None  # a read that the engine has not answered
        self._rest = b""  # read, but longer than the limit of the call that gets it
        self._read_lock, self._write_lock = asyncio.Lock(), asyncio.Lock()  # concurrent calls take turns

    async def read(self, limit: int = CHUNK) -> bytes:
        """Wait for bytes. b"" means that the other side has finished writing.

        If it is cancelled, for example by ``asyncio.wait_for``, the next call returns the bytes.
        """
        if limit < 1:
            raise ValueError("limit must be at least 1")
        async with self._read_lock:
            return await self._read_next(limit)

    async def _read_next(self, limit: int) -> bytes:
        while not self._rest:
            if self._reading is None:
                self._reading = self._engine._keep(self._engine._call("read", stream=self._number, max=limit))
            reading = self._reading
            try:
                got = await asyncio.shield(reading)
            except asyncio.CancelledError:
                if reading.cancelled():  # otherwise the next call gets its result
                    self._reading = None
                raise
            except MultipeerError:
                self._reading = None
                raise
            self._reading = None
            self._rest = base64.b64decode(got["data"])
            if got["end"] and not self._rest:
                return b""
        data, self._rest = self._rest[:limit], self._rest[limit:]
        return data

    async def read_all(self, limit: int = 64 << 20) -> bytes:
        """Read to the end, at most ``limit`` bytes."""
        parts: List[bytes] = []
        size = 0
        while True:
            part = await self.read()
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
            if size > limit:
                raise MultipeerError(f"the stream has more than {limit} bytes", "too_large")

    async def write(self, data: bytes) -> None:
        """Write all of the bytes, without those of another call in between."""
        async with self._write_lock:
            for part in chunks(data):
                await self._engine._call("write", stream=self._number, data=base64.b64encode(part).decode("ascii"))

    async def close_write(self) -> None:
        """Finish writing. Data already written is still delivered."""
        await self._engine._call("close_write", stream=self._number)

    async def close(self) -> None:
        """Close both directions. Data already written is still delivered. Idempotent."""
        await self._end("close")

    async def reset(self, code: int = 0) -> None:
        """Close both directions immediately, and discard data that has not been delivered."""
        await self._end("reset", code=code)

    async def _end(self, how: str, **params: Any) -> None:
        try:
            await self._engine._call(how, stream=self._number, **params)
        except MultipeerError as error:
            if error.kind not in {"no_such_handle", "closed"}:
                raise


class Offer:
    """A peer's offer of files. Nothing is stored before ``accept``.

    transfer: what is offered, for example ``peer``, ``names``, ``bytes`` and ``note``. preview: a small picture of the
    content, which is untrusted; empty if there is none or the peer is unknown. answered: whether it was accepted or
    declined.
    """

    def __init__(self, engine: Engine, params: Mapping[str, Any]) -> None:
        self._engine = engine
        self._number: int = params["offer"]
        self.transfer = Transfer.of(params["transfer"])
        self.preview = base64.b64decode(params.get("preview", ""))
        self.answered = False

    async def accept(self, folder: str, existing: str = "keep", *, person: bool = False, **more: Any) -> Transfer:
        """Accept into a folder, and wait until the transfer has ended.

        ``existing``: "keep" keeps both files under different names, "skip" does the same, but skips a file whose
        content is already there (for a program that may get the same file twice), and "replace" replaces it. ``person=True`` means that a person
        decided, which makes the peer known. Otherwise the program decided, and trust does not change. Other keyword
        arguments are settings of ``accept_offer`` in docs/json-rpc.md: reread, keep_executable, links and reserve.
        """
        self.answered = True  # before the call: the offer closes with it
        try:
            await self._engine._call(
                "accept_offer", offer=self._number, dir=os.path.abspath(folder), existing=existing, person=person, **more
            )
        except MultipeerError:
            self.answered = False
            raise
        return await self._engine.wait(self.transfer)

    async def decline(self, *, person: bool = False) -> None:
        """Decline the offer.

        ``person=True`` means that a person decided. After three such decisions about a peer that is not verified, the
        engine declines what it asks in the next ten minutes.
        """
        self.answered = True
        await self._engine._call("decline_offer", offer=self._number, person=person)


class Invitation:
    """A peer's request for a session.

    peer: the sender. context: a value from its program. answered: whether it was answered.
    """

    def __init__(self, engine: Engine, params: Mapping[str, Any]) -> None:
        self._engine = engine
        self._id = params["invitation"]
        self.peer = Peer.of(params["peer"])
        self.context = params.get("context")
        self.answered = False

    async def accept(self, context: Any = None, *, person: bool = False) -> None:
        """Start the session.

        ``person=True`` means that a person decided, which makes the peer known.
        """
        await self._answer(True, context, person)

    async def decline(self, *, person: bool = False) -> None:
        """Decline the session. ``person`` is as in ``Offer.decline``."""
        await self._answer(False, None, person)

    async def _answer(self, accept: bool, context: Any, person: bool) -> None:
        self.answered = True
        params: Dict[str, Any] = {"invitation": self._id, "accept": accept, "person": person}
        if context is not None:
            params["context"] = context
        await self._engine._call("answer_invitation", **params)
