"""The asyncio interface, with real processes."""

import asyncio

import pytest

import multipeer
from multipeer import Engine, MultipeerError, PeerAdded, PeerFound, PeerRemoved


def run(coroutine):
    """Run a test's coroutine, for at most a minute."""
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def pair(service):
    """Two engines that connect automatically."""
    return [Engine(name, service, invite="everyone", accept="everyone") for name in ("Anna", "Ben")]


async def until_event(events, kind):
    """Return the first event of a kind."""
    async for event in events:
        if isinstance(event, kind):
            return event
    return None


def test_messages_of_both_kinds(service):
    async def test():
        a, b = pair(service)
        async with a, b:
            ben = await a.wait_for("Ben")
            plain, chess = b.messages(), b.topic("chess").messages()
            first = [asyncio.ensure_future(it.__anext__()) for it in (plain, chess)]
            await asyncio.sleep(0.2)
            await a.send({"k": [1]}, ben)
            await a.topic("chess").send(b"\x00\xff", ben)
            got = await asyncio.gather(*first)
            assert [(m.name, m.value, m.topic) for m in got] == [("Anna", {"k": [1]}, ""), ("Anna", b"\x00\xff", "chess")]
            with pytest.raises(MultipeerError) as error:
                await a.topic("nobody").send(1, ben)
            assert error.value.kind == "unavailable"
            assert await a.ping(ben) < 5

    run(test())


def test_messages_wait_for_the_first_reader(service):
    async def test():
        a, b = pair(service)
        async with a, b:
            ben = await a.wait_for("Ben")
            for n in range(3):
                await a.send(n, ben)
            late = b.messages()
            await a.send(3, ben)  # before the first step of the iteration
            assert [(await late.__anext__()).value for _ in range(4)] == [0, 1, 2, 3]

    run(test())


def test_dropped_messages_are_reported_once(service):
    async def test():
        a, b = pair(service)
        async with a, b:
            ben = await a.wait_for("Ben")
            events = b.events()
            step = asyncio.ensure_future(until_event(events, multipeer.MessageDropped))
            await b.messages().aclose()
            await a.send("first", ben)
            await a.send("second", ben)
            assert (await step).message.value == "first"
            await a.call("set_info", info={"sent": "second"})  # its event comes after the messages before it
            async for event in events:
                assert not isinstance(event, multipeer.MessageDropped)
                if isinstance(event, PeerFound) and event.peer.info.get("sent") == "second":
                    break
            reader = b.messages()
            await a.send("third", ben)
            assert (await reader.__anext__()).value == "third"
            for n in range(1000):  # far more than the window: dropped messages do not use it up
                await a.post(n, ben)
            for n in range(1000):
                assert (await reader.__anext__()).value == n

    run(test())


def test_flood_without_a_reader_holds_up_no_topic(service):
    async def test():
        a, b = pair(service)
        async with a, b:
            ben = await a.wait_for("Ben")

            async def double(m):
                return m.value * 2

            await b.topic("t").answer(double)
            reader = b.topic("u").messages()
            first = asyncio.ensure_future(reader.__anext__())
            for n in range(1000):
                await a.send(n, ben)
            assert await a.topic("t").request(21, ben) == 42
            await a.topic("u").send("here", ben)
            assert (await first).value == "here"

    run(test())


def test_iterators_say_that_the_program_has_died(service):
    async def test():
        a = Engine("Anna", service)
        async with a:
            events, messages = a.events(), a.messages()
            waiting = [asyncio.ensure_future(it.__anext__()) for it in (events, messages)]
            await asyncio.sleep(0.2)
            a._process.kill()
            for end in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(end, MultipeerError) and end.kind == "closed", repr(end)
            with pytest.raises(MultipeerError):
                await a.messages().__anext__()

    run(test())


def test_iterators_end_with_close(service):
    async def test():
        a = Engine("Anna", service)
        async with a:
            waiting = [asyncio.ensure_future(it.__anext__()) for it in (a.events(), a.messages(), a.topic("t").messages())]
            await asyncio.sleep(0.2)
        for end in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(end, StopAsyncIteration), repr(end)

    run(test())


def test_questions_without_an_answer_are_declined(service, tmp_path):
    async def test():
        (tmp_path / "f").write_text("x")
        a, b = pair(service)
        async with a, b:
            ben = await a.wait_for("Ben")

            async def returns(offer):
                pass

            async def fails(offer):
                raise ValueError("no")

            await b.handle_offers(returns)
            assert (await a.wait(await a.offer(ben, str(tmp_path / "f")))).state == "declined"
            with pytest.raises(MultipeerError) as error:
                await b.handle_offers(fails)
            assert error.value.kind == "busy" and "already" in str(error.value)

    run(test())


def test_handler_that_fails_declines(service, tmp_path):
    async def test():
        (tmp_path / "f").write_text("x")
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: seen.append(context["exception"]))
        seen = []
        a, b = pair(service)
        async with a, b:
            ben = await a.wait_for("Ben")

            async def fails(offer):
                raise ValueError("no")

            await b.handle_offers(fails)
            assert (await a.wait(await a.offer(ben, str(tmp_path / "f")))).state == "declined"
            while not seen:  # the reply may come first
                await asyncio.sleep(0.01)
            assert [str(e) for e in seen] == ["no"]

    run(test())


def test_accepting_by_a_rule_keeps_trust(service, tmp_path):
    async def test():
        (tmp_path / "f").write_text("x")
        for person, trust in ((False, "unknown"), (True, "seen")):
            a, b = pair(service + str(int(person)))
            async with a, b:
                ben = await a.wait_for("Ben")

                async def accept(offer):
                    await offer.accept(str(tmp_path / "in"), existing="skip", person=person)

                await b.handle_offers(accept)
                assert (await a.wait(await a.offer(ben, str(tmp_path / "f")))).state == "delivered"
                assert (await b.find("Anna")).trust == trust

    run(test())


def test_thousands_arrive_in_order(service):
    async def test():
        a, b = pair(service)
        async with a, b:
            ben = await a.wait_for("Ben")
            got = []

            async def read():
                async for m in b.messages():
                    got.append(m.value)
                    if len(got) == 3000:
                        return

            reading = asyncio.ensure_future(read())
            await asyncio.sleep(0.2)
            for n in range(3000):
                await a.post(n, ben)
            await reading
            assert got == list(range(3000))

    run(test())


def test_events_come_in_order_and_end_with_the_engine(service):
    async def test():
        a, b = pair(service)
        async with a:
            seen = []

            async def read():
                async for event in a.events():
                    seen.append(event)

            reading = asyncio.ensure_future(read())
            async with b:
                await a.wait_for("Ben")
            while not any(isinstance(e, PeerRemoved) for e in seen):
                await asyncio.sleep(0.01)
        await reading
        kinds = [type(e) for e in seen if isinstance(e, (PeerAdded, PeerRemoved))]
        assert kinds == [PeerAdded, PeerRemoved]

    run(test())


def test_request_and_answer(service):
    async def test():
        a, b = pair(service)
        async with a, b:
            ben = await a.wait_for("Ben")

            async def total(message):
                return sum(message.value)

            await b.topic("sum").answer(total)
            topic = a.topic("sum")
            assert await asyncio.gather(*(topic.request([n, 1], ben) for n in range(20))) == [n + 1 for n in range(20)]
            with pytest.raises(MultipeerError) as error:
                await topic.request("x", ben)
            assert error.value.kind == "request_failed" and "unsupported" in str(error.value)

            async def fail(message):
                if message.value == "cancelled":
                    raise asyncio.CancelledError
                if message.value == "long":
                    raise ValueError("x" * (3 << 20))
                return "x" * ((2 << 20) - message.value)

            # More of each than a peer may have open at once: every one gets an answer.
            await b.topic("bad").answer(fail)
            bad = a.topic("bad")
            for value in [*range(30, 70), *["cancelled"] * 35, "long"]:
                with pytest.raises(MultipeerError) as error:
                    await bad.request(value, ben)
                assert error.value.kind == "request_failed", (value, error.value)

    run(test())


def test_streams_carry_bytes_both_ways(service):
    async def test():
        a, b = pair(service)
        async with a, b:
            ben = await a.wait_for("Ben")

            async def upper(stream):
                await stream.write((await stream.read_all()).upper())

            await b.handle_stream("upper", upper)
            stream = await a.open_stream(ben, "upper")
            await stream.write(b"hello " * 100_000)
            await stream.close_write()
            assert await stream.read_all() == b"HELLO " * 100_000
            await stream.close()
            with pytest.raises(MultipeerError) as error:
                await (await a.open_stream(ben, "nobody")).read()
            assert error.value.kind == "unavailable"

    run(test())


def test_files_arrive_with_progress(service, tmp_path):
    source, inbox = tmp_path / "photos", tmp_path / "inbox"
    source.mkdir()
    for n in range(20):
        (source / f"{n}.txt").write_text("x" * n)

    async def test():
        a, b = pair(service)
        async with a, b:
            ben = await a.wait_for("Ben")
            received = []

            async def accept(offer):
                received.append(await offer.accept(str(inbox)))

            await b.handle_offers(accept)
            changes = [t async for t in a.progress(await a.offer(ben, str(source)))]
            assert changes[-1].delivered and changes[-1].files == 20
            while not received:
                await asyncio.sleep(0.01)
            assert received[0].saved == [str(inbox / "photos")]

            async def decline(offer):
                await offer.decline()

            b._offers = decline
            assert (await a.wait(await a.offer(ben, str(source)))).state == "declined"
            with pytest.raises(MultipeerError):
                await a.offer(ben, str(tmp_path / "missing"))

    run(test())
    assert sorted(p.name for p in (inbox / "photos").iterdir()) == sorted(f"{n}.txt" for n in range(20))


def test_bytes_arrive_as_a_file_with_a_note(service, tmp_path):
    async def test():
        a, b = pair(service)
        async with a, b:
            ben = await a.wait_for("Ben")
            notes = []

            async def accept(offer):
                notes.append((offer.transfer.names, offer.transfer.note))
                await offer.accept(str(tmp_path))

            await b.handle_offers(accept)
            end = await a.wait(await a.offer(ben, data=b"\x00\xff", name="save.bin", note="level 3"))
            assert end.delivered and notes == [(["save.bin"], "level 3")]
            with pytest.raises(MultipeerError) as error:
                await a.offer(ben, data=b"x")
            assert error.value.kind == "invalid"

    run(test())
    assert (tmp_path / "save.bin").read_bytes() == b"\x00\xff"


def test_invitations_can_be_answered_by_hand(service):
    async def test():
        a, b = Engine("Anna", service, context={"score": 1}), Engine("Ben", service)
        async with a, b:
            asked = []

            async def decide(invitation):
                asked.append(invitation.context)
                if len(asked) == 1:
                    await invitation.decline()
                else:
                    await invitation.accept("welcome")

            await b.handle_invitations(decide)
            while not await a.peers():
                await asyncio.sleep(0.01)
            ben = (await a.peers())[0]
            with pytest.raises(MultipeerError) as error:
                await a.invite(ben)
            assert error.value.kind == "declined"
            await a.invite(ben)
            assert (await a.wait_for("Ben")).context == "welcome" and asked == [{"score": 1}] * 2

    run(test())


def test_errors_of_the_start_and_after_the_end(service):
    async def test():
        with pytest.raises(MultipeerError) as error:
            async with Engine("a\nb", service):
                pass
        assert error.value.kind == "invalid"
        a = Engine("Anna", service)
        async with a:
            with pytest.raises(MultipeerError) as error:
                await a.call("no such method")
            assert error.value.code == -32601
        await a.close()
        with pytest.raises(MultipeerError) as error:
            await a.peers()
        assert error.value.kind == "closed"

    run(test())


def test_program_that_is_missing(monkeypatch):
    monkeypatch.delenv("MULTIPEER_CLI", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(multipeer.ProgramNotFoundError) as error:
        multipeer.MultipeerConnectivity("Anna")
    assert "MULTIPEER_CLI" in str(error.value)


def test_localsend_is_a_flag_of_the_program(monkeypatch):
    """localsend=True starts the program with its flag, and peers report how they are reached."""
    from multipeer import Peer
    from multipeer._program import command

    monkeypatch.setenv("MULTIPEER_ARGS", "")
    assert command(None, True)[1:] == ["api", "--localsend"]
    assert command("p")[1:] == ["api", "--profile", "p"]
    phone = Peer.of({"id": "x", "name": "Phone", "via": "LocalSend", "plain": True})
    assert (phone.via, phone.plain, phone.connected) == ("LocalSend", True, False)
    assert Peer.of({"id": "x", "name": "Ben"}).via == ""


def test_handlers_registered_before_the_start_miss_nothing(service):
    """Peers cannot find an engine whose handlers are not in place, unless it was started hidden."""

    async def test():
        a, b = pair(service)
        calls = []
        real = b._call

        async def slow(method, **params):
            if method in ("answer", "handle_stream"):
                await asyncio.sleep(1)
            calls.append(method)
            return await real(method, **params)

        async def double(message):
            return 2 * message.value

        async def echo(stream):
            await stream.write(await stream.read_all())
            await stream.close_write()

        b._call = slow
        await b.topic("math").answer(double)
        await b.handle_stream("echo", echo)
        async with a:
            starting = asyncio.ensure_future(b.__aenter__())
            ben = await a.wait_for("Ben")
            assert await a.topic("math").request(21, ben) == 42
            stream = await a.open_stream(ben, "echo")
            await stream.write(b"hello")
            await stream.close_write()
            assert await stream.read_all() == b"hello"
            await starting
            await b.close()
        assert calls[:3] == ["start", "answer", "handle_stream"]

    run(test())


def test_a_handler_registered_before_the_start_leaves_a_hidden_engine_hidden(service):
    async def test():
        a = Engine("Anna", service, accept="everyone", hidden=True, blind=True)
        b = Engine("Ben", service, invite="everyone", accept="everyone")

        async def echo(stream):
            await stream.close()

        await a.handle_stream("echo", echo)
        async with a, b:
            await asyncio.sleep(2)
            assert await b.peers() == []

    run(test())
