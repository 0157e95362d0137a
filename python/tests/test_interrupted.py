"""Calls that are cancelled, requests that are too large, folders of another program, and an engine that dies."""

import array
import asyncio
import os
import signal
import subprocess
import threading

import pytest
from conftest import until

import multipeer
from multipeer import Engine, MultipeerConnectivity, MultipeerError, PeerFound, Undelivered
from multipeer._program import find


def run(coroutine):
    """Run a test's coroutine, for at most a minute."""
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def pair(service):
    """Two engines that connect automatically."""
    return [Engine(name, service, invite="everyone", accept="everyone") for name in ("Anna", "Ben")]


def test_cancelled_reads_lose_nothing(service):
    async def test():
        a, b = pair(service)
        served = asyncio.get_running_loop().create_future()

        async def serve(stream):
            served.set_result(stream)
            await asyncio.sleep(60)

        await b.handle_stream("s", serve)
        async with a, b:
            stream = await a.open_stream(await a.wait_for("Ben"), "s")
            await stream.write(b"x")
            other = await served
            assert await other.read() == b"x"
            for record in (b"one", b"two", b"three"):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(other.read(), 0.1)
                await stream.write(record)
                assert await asyncio.wait_for(other.read(2), 10) == record[:2]
                assert await asyncio.wait_for(other.read(), 10) == record[2:]
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(other.read(), 0.1)
            await stream.close_write()
            assert await asyncio.wait_for(other.read(), 10) == b""

    run(test())


def test_cancelled_steps_lose_nothing(service):
    async def test():
        a, b = pair(service)
        async with a, b:
            ben = await a.wait_for("Ben")
            events, messages = b.events(), b.topic("t").messages()
            assert isinstance(await asyncio.wait_for(events.__anext__(), 10), PeerFound)
            for n in range(3):
                for steps in (events, messages):
                    with pytest.raises(asyncio.TimeoutError):
                        while True:
                            await asyncio.wait_for(steps.__anext__(), 0.2)
                await a.topic("t").send(n, ben)
                assert (await asyncio.wait_for(messages.__anext__(), 10)).value == n
            await messages.aclose()
            with pytest.raises(MultipeerError):
                await a.topic("t").send(9, ben)
            await a.close()
            while not isinstance(await asyncio.wait_for(events.__anext__(), 20), multipeer.PeerRemoved):
                pass

    run(test())


def test_large_requests_fail(service):
    async def test():
        a, b = pair(service)
        async with a, b:
            ben = await a.wait_for("Ben")
            for call in (
                lambda: a.send("x" * 3_000_000, ben),
                lambda: a.post("x" * 1_500_000, ben),
                lambda: a.post("x" * 3_000_000, ben),
                lambda: a.send(b"x" * 2_000_000, ben),
                lambda: a.offer(ben, data=b"x" * 1_700_000, name="f"),
                lambda: a.topic("t").request("x" * 3_000_000, ben),
            ):
                with pytest.raises(MultipeerError) as error:
                    await asyncio.wait_for(call(), 10)
                assert error.value.kind == "too_large"
            await a.send("still alive", ben)

    run(test())


def test_concurrent_calls_take_turns(service):
    async def test():
        a, b = pair(service)
        got = asyncio.get_running_loop().create_future()

        async def serve(stream):
            parts = bytearray()

            async def read():
                while True:
                    part = await stream.read(1000)
                    if not part:
                        return
                    parts.extend(part)

            await asyncio.gather(read(), read())
            got.set_result(bytes(parts))

        await b.handle_stream("s", serve)
        async with a, b:
            stream = await a.open_stream(await a.wait_for("Ben"), "s")
            sent = [bytes([n]) * 700_000 for n in range(3)]
            await asyncio.gather(*(stream.write(data) for data in sent))
            await stream.close_write()
            received = await asyncio.wait_for(got, 30)
            assert sorted(received) == sorted(b"".join(sent))
            with pytest.raises(ValueError):
                await stream.read(0)

    run(test())


def test_any_buffer_can_be_written(service):
    async def test():
        a, b = pair(service)
        got = asyncio.get_running_loop().create_future()

        async def serve(stream):
            got.set_result(await stream.read_all())

        await b.handle_stream("s", serve)
        async with a, b:
            stream = await a.open_stream(await a.wait_for("Ben"), "s")
            numbers = array.array("d", range(300_000))
            await asyncio.wait_for(stream.write(numbers), 30)
            await stream.close_write()
            assert await asyncio.wait_for(got, 30) == numbers.tobytes()

    run(test())


def test_lost_posts_are_reported(service):
    async def test():
        a, b = pair(service)
        async with a, b:
            ben = await a.wait_for("Ben")
            events = a.events()
            await events.__anext__()
            await a.topic("nobody reads this").post(1, ben)
            while True:
                event = await asyncio.wait_for(events.__anext__(), 20)
                if isinstance(event, Undelivered):
                    break
            assert event.peer == ben.id and event.error.kind == "unavailable"

    run(test())


def test_replies_that_cannot_be_encoded_are_errors(service):
    async def test():
        a, b = pair(service)

        async def answer(request):
            if request.value == "raise":
                raise ValueError("\ud800")
            return {"nan": float("nan"), "surrogate": "\ud800", "large": "x" * 3_000_000}[request.value]

        await b.topic("t").answer(answer)
        async with a, b:
            ben = await a.wait_for("Ben")
            for _ in range(12):  # more than the limit on requests that are answered at once
                for value in ("nan", "surrogate", "large", "raise"):
                    with pytest.raises(MultipeerError) as error:
                        await a.topic("t").request(value, ben, timeout=10)
                    assert error.value.kind == "request_failed", (value, error.value)

    run(test())


def test_paths_are_relative_to_this_program(service, tmp_path, monkeypatch):
    host, here = tmp_path / "host", tmp_path / "here"
    for folder, text in ((host, "of the host"), (here, "of this program")):
        folder.mkdir()
        (folder / "notes.txt").write_text(text)
    args = os.environ["MULTIPEER_ARGS"].split()
    serve = subprocess.Popen(
        [find(), *args, "--service", service, "--profile", tmp_path / "profile", "serve", "--into", tmp_path / "inbox"],
        cwd=host, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    monkeypatch.chdir(here)
    monkeypatch.setenv("MULTIPEER_ARGS", "")  # the host has its own settings

    async def test():
        until(lambda: (tmp_path / "profile" / "control.sock").exists())
        async with Engine(profile=str(tmp_path / "profile")) as a:
            with pytest.raises(MultipeerError) as error:
                async with Engine(service="another", profile=str(tmp_path / "profile")):
                    pass
            assert error.value.kind == "invalid" and "service" in str(error.value)
            monkeypatch.setenv("MULTIPEER_ARGS", " ".join(args))
            b = Engine("Ben", service, offers="everyone")
            saved = asyncio.get_running_loop().create_future()

            async def take(offer):
                saved.set_result((await offer.accept("relative")).saved)

            await b.handle_offers(take)
            async with b:
                for _ in range(200):
                    try:
                        ben = await a.find("Ben")
                        break
                    except MultipeerError:
                        await asyncio.sleep(0.1)
                sent = await a.wait(await a.offer(ben, "notes.txt"))
                assert sent.state == "delivered"
                assert await saved == [str(here / "relative" / "notes.txt")]
                assert (here / "relative" / "notes.txt").read_text() == "of this program"

    try:
        run(test())
    finally:
        serve.send_signal(signal.SIGINT)
        serve.wait(20)


class Station(MultipeerConnectivity):
    """Records what happens."""

    def __init__(self, name, service):
        self.removed, self.streamed = [], bytearray()
        super().__init__(name, service)

    def peer_added(self, peer_id):
        """Ignore it: get_peers lists the peer."""

    def peer_removed(self, peer_id):
        """Record it."""
        self.removed.append(peer_id.display_name)

    def stream_receive(self, byte_data, from_peer):
        """Record it."""
        self.streamed += byte_data


def test_class_notices_a_dead_engine(service):
    a, b = Station("Anna", service), Station("Ben", service)
    try:
        until(lambda: a.get_peers() and b.get_peers())
        a._rpc._process.kill()
        until(lambda: a.removed == ["Ben"])
        assert a.get_peers() == []
        with pytest.raises(MultipeerError):
            a.send("text")
    finally:
        a.end_all()
        b.end_all()
    a.send("after the end")  # as in the original, this is ignored


def test_class_streams_large_data_from_several_threads(service):
    a, b = Station("Anna", service), Station("Ben", service)
    try:
        until(lambda: a.get_peers() and b.get_peers())
        with pytest.raises(MultipeerError):
            a.send("x" * 1_500_000)
        threads = [threading.Thread(target=a.stream, args=(bytes([n]) * 3_000_000,)) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        until(lambda: len(b.streamed) == 6_000_000)
        for n in range(2):
            assert b.streamed.count(n) == 3_000_000
    finally:
        a.end_all()
        b.end_all()
