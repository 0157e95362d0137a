"""Checks the limits on what other devices and multipeer-cli can do to a Python program."""

import asyncio
import os
import stat
import sys
import threading

import pytest

from multipeer import Engine, MultipeerConnectivity, MultipeerError, PeerAdded, PeerFound, PeerLost, PeerRemoved, Transfer, TransferChanged
from multipeer import _connectivity, _program
from multipeer._events import MOST, EventQueue
from multipeer._values import Peer

from conftest import until


def run(coroutine):
    """Run a test's coroutine, for at most a minute."""
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def test_wait_for_returns_no_impostor(service, tmp_path):
    async def test():
        anna = Engine("Anna", service, invite="everyone", accept="everyone", profile=str(tmp_path / "anna"))
        ben = Engine("Ben", service, invite="everyone", accept="everyone")
        async with anna, ben:
            known = await anna.wait_for("Ben")
            assert known.id == ben.id
            await anna.call("set_trust", peer=known.id, trust="verified")
            async with Engine("Ben", service, invite="everyone", accept="everyone") as evil:
                await anna.wait_for(evil.id)
                for _ in range(5):
                    assert (await anna.wait_for("Ben")).id == ben.id
                await ben.close()
                with pytest.raises(MultipeerError) as error:
                    while True:  # the session of the peer that has left takes a moment to end
                        assert (await anna.wait_for("Ben", timeout=3)).id == ben.id
                        await asyncio.sleep(0.2)
                assert error.value.kind == "timeout"

    run(test())


FAKE = """#!{python}
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    if request["method"] == "start":
        answer = {{"self": {{"id": "x", "name": "x"}}}}
    elif request["method"] == "long":
        answer = {{"text": "x" * (20 << 20)}}
    else:
        print("this is not JSON", flush=True)
        continue
    print(json.dumps({{"id": request["id"], "result": answer}}), flush=True)
"""


@pytest.fixture
def fake_program(tmp_path, monkeypatch):
    """A program that answers with a long line, and with a broken one."""
    path = tmp_path / "fake"
    path.write_text(FAKE.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("MULTIPEER_CLI", str(path))
    monkeypatch.delenv("MULTIPEER_ARGS", raising=False)


@pytest.mark.skipif(os.name == "nt", reason="the fake program is a script")
def test_long_lines_are_read(fake_program):
    async def test():
        async with Engine() as engine:
            assert len((await engine.call("long"))["text"]) == 20 << 20

    run(test())


@pytest.mark.skipif(os.name == "nt", reason="the fake program is a script")
def test_broken_line_ends_everything_that_waits(fake_program):
    async def test():
        async with Engine() as engine:
            messages = engine.messages()
            waiting = asyncio.ensure_future(messages.__anext__())
            with pytest.raises(MultipeerError) as error:
                await engine.call("broken")
            assert error.value.kind == "closed"
            with pytest.raises(MultipeerError):
                await waiting

    with pytest.raises(ValueError):  # the error in the broken line
        run(test())


def peer(number, name="x"):
    """A peer as it appears in an event."""
    return Peer.of({"id": str(number), "name": name, "state": "found", "trust": "unknown"})


def drain(queue):
    """Return the unread events of a queue."""
    out = []
    while not queue.empty():
        out.append(queue.get_nowait())
    return out


def test_unread_events_take_limited_memory():
    async def test():
        q = EventQueue()
        q.put_nowait(PeerFound(peer(0)))
        assert len(drain(q)) == 1
        for n in range(100_000):
            q.put_nowait(PeerFound(peer(0, str(n))))
            q.put_nowait(PeerFound(peer(n + 1)))
            q.put_nowait(PeerAdded(peer(n + 1)))
            q.put_nowait(PeerRemoved(peer(n + 1), None))
            q.put_nowait(PeerLost(peer(n + 1)))
        left = drain(q)
        assert [type(e) for e in left] == [PeerFound]
        assert left[0].peer.name == "99999"
        q.put_nowait(PeerLost(peer(0)))
        assert [type(e) for e in drain(q)] == [PeerLost]
        for n in range(2 * MOST):
            t = {"id": str(n), "peer": "p", "peer_name": "x", "incoming": True, "state": "moving", "final": False}
            q.put_nowait(TransferChanged(Transfer.of(t)))
        assert len(drain(q)) == MOST

    run(test())


def test_removal_of_a_listed_peer_is_reported():
    async def test():
        # The peer was listed as connected, and its PeerAdded is still unread when it leaves.
        q = EventQueue()
        q.put_nowait(PeerAdded(peer(1)))
        q.added.add("1")
        q.put_nowait(PeerRemoved(peer(1), None))
        assert [type(e) for e in drain(q) if q.is_new(e)] == [PeerRemoved]
        # It left before it was listed.
        q = EventQueue()
        q.put_nowait(PeerAdded(peer(1)))
        q.put_nowait(PeerRemoved(peer(1), None))
        assert q.empty() and q.cancelled == {"1"}
        # It was listed before its PeerAdded was read.
        q = EventQueue()
        q.put_nowait(PeerAdded(peer(1)))
        q.added.add("1")
        assert [e for e in drain(q) if q.is_new(e)] == []

    run(test())


def test_order_of_unread_events_is_kept():
    async def test():
        q = EventQueue()
        for event in (PeerAdded(peer(1)), PeerFound(peer(2)), PeerAdded(peer(2)), PeerRemoved(peer(1), None), PeerAdded(peer(1))):
            q.put_nowait(event)
        assert [(type(e), e.peer.id) for e in drain(q)] == [(PeerFound, "2"), (PeerAdded, "2"), (PeerAdded, "1")]

    run(test())


def test_program_in_the_current_folder_is_not_run(monkeypatch):
    monkeypatch.setattr(_program.os, "name", "nt")
    here = os.path.abspath(os.curdir)
    assert _program._is_here(os.path.join(here, "multipeer-cli.exe"))
    assert not _program._is_here(os.path.join(os.sep, "somewhere", "multipeer-cli.exe"))
    monkeypatch.setenv("PATH", here)
    assert not _program._is_here(os.path.join(here, "multipeer-cli.exe"))


def test_withdrawn_questions_end_their_handlers(service, tmp_path):
    async def test():
        path = tmp_path / "x"
        path.write_text("x")
        a = Engine("Anna", service, invite="everyone", accept="everyone")
        b = Engine("Ben", service, invite="everyone", accept="everyone")
        async with a, b:
            ended = []

            async def never(offer):
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    ended.append(offer)
                    raise

            await b.handle_offers(never)
            ben = await a.wait_for("Ben")
            transfer = await a.offer(ben, str(path))
            while not b._questions:
                await asyncio.sleep(0.01)
            await a.cancel(transfer)
            while not ended:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert not b._questions and not b._tasks

    run(test())


def test_rules_make_nobody_known(service):
    async def test():
        a, b = Engine("Anna", service), Engine("Ben", service)
        async with a, b:

            async def accept(invitation):
                await invitation.accept()

            await b.handle_invitations(accept)
            ben = None
            while ben is None:
                ben = next((p for p in await a.peers() if p.name == "Ben"), None)
                await asyncio.sleep(0.05)
            await a.invite(ben)
            await asyncio.sleep(0.3)
            for engine in (a, b):
                assert [p.trust for p in await engine.peers()] == ["unknown"]
            await a.invite(ben, person=True)
            await asyncio.sleep(0.3)
            assert [p.trust for p in await a.peers()] == ["seen"]

    run(test())


def test_peer_that_the_reader_knows_is_reported_lost():
    async def test():
        q = EventQueue()
        q.show("1")
        q.put_nowait(PeerFound(peer(1)))
        q.put_nowait(PeerLost(peer(1)))
        assert [type(e) for e in drain(q)] == [PeerLost]

    run(test())


CROWD = """#!{python}
import json, sys, time
def say(**message):
    print(json.dumps(message), flush=True)
def added(name):
    say(method="peer_added", params={{"peer": {{"id": name, "name": name, "context": None}}}})
opening = None
for line in sys.stdin:
    request = json.loads(line)
    method, params, number = request["method"], request["params"], request.get("id")
    if method == "start":
        say(id=number, result={{"self": {{"id": "x", "name": "x"}}, "hosted": False}})
        continue
    if method == "open_stream" and params["peer"] == "slow":
        opening = number
        say(method="message", params={{"from": "slow", "name": "slow", "body": "early"}})
        added("quick")
        continue
    if method == "write" and opening is not None:
        say(id=opening, error={{"code": 1, "message": "no", "data": {{"kind": "timeout"}}}})
    say(id=number, result={{"stream": 1, "results": []}})
    if method == "set_browsing":
        added("slow")
    elif method == "datagram":
        time.sleep(0.3)  # the next request is being written
        for _ in range(200):
            say(id=0, result="x" * 10000)
"""


class Crowd(MultipeerConnectivity):
    """Records its callbacks."""

    def __init__(self, **options):
        self.seen = []
        super().__init__("Anna", "crowd", **options)

    def peer_added(self, peer_id):
        self.seen.append("added " + peer_id.display_name)

    def receive(self, message, from_peer):
        self.seen.append("got " + message)


@pytest.fixture
def crowd_program(tmp_path, monkeypatch):
    """A program with one peer that lets no one open a stream, and that does not read while it writes."""
    path = tmp_path / "crowd"
    path.write_text(CROWD.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("MULTIPEER_CLI", str(path))
    monkeypatch.delenv("MULTIPEER_ARGS", raising=False)


@pytest.mark.skipif(os.name == "nt", reason="the fake program is a script")
def test_peer_that_opens_no_stream_delays_no_other(crowd_program):
    anna = Crowd(initialize_streams=True)
    until(lambda: anna.seen == ["added quick"])
    anna.stream(b"x", anna.get_peers()[0])
    until(lambda: anna.seen == ["added quick", "added slow", "got early"])
    anna.end_all()


@pytest.mark.skipif(os.name == "nt", reason="the fake program is a script")
def test_peer_that_opens_no_stream_holds_few_messages(crowd_program, monkeypatch):
    monkeypatch.setattr(_connectivity, "MOST_HELD", 0)
    anna = Crowd(initialize_streams=True)
    until(lambda: anna.seen == ["added slow", "got early", "added quick"])
    anna.end_all()


@pytest.mark.skipif(os.name == "nt", reason="the fake program is a script")
def test_answers_are_read_while_a_request_is_written(crowd_program):
    anna = Crowd()
    done = threading.Event()

    def send():
        anna.send("position", reliable=False)
        anna.send("x" * 1000000)
        done.set()

    threading.Thread(target=send, daemon=True).start()
    assert done.wait(20)
    anna.end_all()
