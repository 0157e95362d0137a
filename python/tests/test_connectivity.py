"""Checks each statement in the documentation of the Pythonista module, with two or more processes."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import until

import multipeer

CHAT = Path(__file__).parent / "original" / "chat.py"


class Recorder(multipeer.MultipeerConnectivity):
    """Records the arguments of the callbacks."""

    def __init__(self, *args, **kwargs):
        self.log, self.threads = [], set()
        super().__init__(*args, **kwargs)

    def note(self, *what):
        self.threads.add(threading.current_thread())
        self.log.append(what)

    def peer_added(self, peer_id):
        self.note("added", peer_id.display_name, self.get_initial_data(peer_id), peer_id in self.get_peers())

    def peer_removed(self, peer_id):
        self.note("removed", peer_id.display_name, peer_id in self.get_peers())

    def receive(self, message, from_peer):
        self.note("message", message, from_peer.display_name)

    def stream_receive(self, byte_data, from_peer):
        self.note("bytes", bytes(byte_data), from_peer.display_name)

    def messages(self):
        return [what[1] for what in list(self.log) if what[0] == "message"]


@pytest.fixture
def meet(service):
    """Starts peers that are connected to each other, and ends them."""
    started = []

    def start(*names, **kwargs):
        new = [Recorder(name, service, **kwargs) for name in names]
        started.extend(new)
        for peer in started:
            until(lambda peer=peer: len(peer.get_peers()) == len(started) - 1)
        return new

    yield start
    for peer in started:
        peer.end_all()


def test_minimal_example_runs_unchanged():
    """The example from the module's documentation, unchanged, in two processes."""
    args = os.environ["MULTIPEER_ARGS"] + f" --port {20000 + os.getpid() % 20000}"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "MULTIPEER_ARGS": args, "PYTHONUNBUFFERED": "1"}
    procs, seen = {}, {"Anna": "", "Ben": ""}

    def follow(name, out):
        while True:
            c = out.read(1)
            if not c:
                return
            seen[name] += c

    for name in seen:
        p = subprocess.Popen([sys.executable, str(CHAT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        procs[name] = p
        threading.Thread(target=follow, args=(name, p.stdout), daemon=True).start()
        p.stdin.write(name + "\n")
        p.stdin.flush()
        env["MULTIPEER_ARGS"] = os.environ["MULTIPEER_ARGS"]

    def saw(name, line):
        return line in seen[name].replace("Message: ", "")  # the prompt may come between the words of a line

    until(lambda: saw("Anna", "Added peer Ben") and saw("Ben", "Added peer Anna"))
    for name, line in (("Anna", "hello Ben"), ("Ben", "hello Anna")):
        procs[name].stdin.write(line + "\n")
        procs[name].stdin.flush()
    until(lambda: saw("Anna", "Message from Ben - hello Anna") and saw("Ben", "Message from Anna - hello Ben"))
    procs["Anna"].stdin.close()  # input() raises EOFError, which ends the example
    until(lambda: saw("Ben", "Removed peer Anna"))
    procs["Ben"].stdin.close()
    for p in procs.values():
        assert p.wait(20) == 1


def test_chat_of_the_package(service):
    """python -m multipeer exits cleanly when its input ends."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    run = subprocess.run([sys.executable, "-m", "multipeer"], input="Anna\nhello\n", capture_output=True, text=True, env=env, timeout=60)
    assert run.returncode == 0 and run.stderr == ""


@pytest.mark.parametrize("text", ["\x1b[2J", "a\rMessage from Anna", "\x07", "\u202e", "\x9b2J", "a\nb"])
def test_values_of_peers_are_printed_without_control_characters(capsys, text):
    class Silent(multipeer.MultipeerConnectivity):
        def __init__(self):
            pass

        def get_initial_data(self, peer_id):
            return text

    peer = multipeer.PeerID("x", "Eva")
    Silent().receive(text, peer)
    Silent().peer_added(peer)
    Silent().receive({"key": text}, peer)
    out = capsys.readouterr().out
    assert out.count("\n") == 4 and all(c.isprintable() or c == "\n" for c in out)


@pytest.mark.parametrize("name", ["", "a" * 64, "é" * 32, None, 7])
def test_display_name_is_checked(name):
    with pytest.raises(ValueError) as error:
        multipeer.MultipeerConnectivity(name)
    assert error.value.args[1] == name


@pytest.mark.parametrize("service", ["", "abcdefghijklmnop", "Chat", "my chat", "chat_demo", "chat\n", None, "123", "-a"])
def test_service_type_is_checked(service):
    with pytest.raises(ValueError) as error:
        multipeer.MultipeerConnectivity("Peer", service)
    assert error.value.args[1] == service


def test_initial_data_must_have_a_json_form():
    with pytest.raises(TypeError):
        multipeer.MultipeerConnectivity("Peer", "dev-srv", initial_data={1, 2})


def test_names_at_the_limit(meet):
    a, b = meet("a" * 63, "é" * 31)
    # Names of other peers are cut to 40 characters for display.
    assert [p.display_name for p in a.get_peers() + b.get_peers()] == ["é" * 31, "a" * 40 + "…"]


def test_initial_data_is_there_when_a_peer_is_added(service):
    data = {"nested": [1, None, {"ä": "日本"}]}
    a, b = Recorder("Anna", service, data), Recorder("Ben", service)
    until(lambda: a.log and b.log)
    assert b.log[0] == ("added", "Anna", data, True)
    assert a.log[0] == ("added", "Ben", None, True)
    a.end_all()
    until(lambda: len(b.log) == 2)
    assert b.log[1] == ("removed", "Anna", False)
    assert b.get_initial_data(multipeer.PeerID("unknown", "x")) is None
    b.end_all()


def test_everything_that_json_has_arrives_in_order(meet):
    a, b = meet("Anna", "Ben")
    values = ["text", {"k": [1, 2.5, True]}, [], None, "", "👩‍👩‍👧", 0]
    for value in values:
        a.send(value)
    until(lambda: len(b.messages()) == len(values))
    assert b.messages() == values and a.messages() == []
    with pytest.raises(TypeError):
        a.send({1, 2})


def test_recipients(meet):
    a, b, c = meet("Anna", "Ben", "Cleo")
    peers = {p.display_name: p for p in a.get_peers()}
    a.send("to all")
    a.send("to Ben", peers["Ben"])
    a.send("to a list", [peers["Ben"], peers["Cleo"]])
    a.send("to a tuple", (peers["Cleo"],))
    a.send("to nobody", [])
    a.send("last")
    until(lambda: b.messages()[-1:] == ["last"] and c.messages()[-1:] == ["last"])
    assert b.messages() == ["to all", "to Ben", "to a list", "last"]
    assert c.messages() == ["to all", "to a list", "to a tuple", "last"]


def test_a_message_to_nobody_is_lost_silently(service):
    a = Recorder("Anna", service)
    a.send("hello?")
    a.send("hello?", multipeer.PeerID("aeaqcaiba-eaqcaibae-aqcaibaea-qcaibaeaq-caibaeaqc-aibaeaq73", "Eva"))
    a.stream(b"bytes")
    a.end_all()


def test_unreliable_messages(meet):
    a, b = meet("Anna", "Ben")
    until(lambda: a.send({"x": 1}, reliable=False) or b.messages())
    with pytest.raises(multipeer.MultipeerError) as error:
        a.send("x" * 2000, reliable=False)
    assert error.value.kind == "too_large"


def test_peer_ids(meet):
    a, b, c = meet("Anna", "Anna", "Ben")
    peers = c.get_peers()
    assert len({p for p in peers}) == 2 and [p.display_name for p in peers] == ["Anna", "Anna"]
    assert set(peers) == {a.get_self(), b.get_self()}


@pytest.mark.parametrize("early", [False, True])
def test_streams_arrive_in_pieces(service, early):
    a, b = Recorder("Anna", service, None, early), Recorder("Ben", service)
    until(lambda: a.get_peers() and b.get_peers())
    data = os.urandom(300_000)
    a.stream(data[:3000])
    a.stream(data[3000:], a.get_peers()[0])

    def got():
        return [what[1] for what in list(b.log) if what[0] == "bytes"]

    until(lambda: sum(map(len, got())) == len(data))
    assert b"".join(got()) == data and max(map(len, got())) <= 1024
    a.end_all()
    b.end_all()


def test_stop_looking_meets_nobody_new(meet, service):
    a, b = meet("Anna", "Ben")
    a.stop_looking_for_peers()
    b.stop_looking_for_peers()
    late = Recorder("Cleo", service)
    time.sleep(2)
    assert late.get_peers() == [] and len(a.get_peers()) == 1
    a.send("still here")
    until(lambda: b.messages() == ["still here"])
    a.start_looking_for_peers()
    until(lambda: late.get_peers())
    late.end_all()


def test_disconnect_lets_peers_come_back(meet):
    a, b = meet("Anna", "Ben")
    a.disconnect()
    until(lambda: [what[0] for what in b.log] == ["added", "removed", "added"])


def test_callbacks_come_on_one_thread_and_may_fail(meet, capfd):
    a, b = meet("Anna", "Ben")
    b.receive = lambda message, peer: 1 / 0
    a.send("breaks")
    until(lambda: "ZeroDivisionError" in capfd.readouterr().err)
    del b.receive
    a.send("works")
    until(lambda: b.messages() == ["works"])
    assert len(b.threads) == 1 and threading.main_thread() not in b.threads


def test_end_all_in_a_callback_and_twice(meet):
    a, b = meet("Anna", "Ben")
    b.receive = lambda message, peer: b.end_all()
    a.send("end")
    until(lambda: ("removed", "Ben", False) in a.log)
    b.end_all()


def test_what_was_sent_before_the_end_arrives(meet):
    a, b = meet("Anna", "Ben")
    for n in range(200):
        a.send(n)
    a.end_all()
    until(lambda: len(b.messages()) == 200)
    assert b.messages() == list(range(200))


def test_a_slow_receiver_slows_the_sender_down(meet):
    a, b = meet("Anna", "Ben")
    slow = b.receive
    b.receive = lambda message, peer: (time.sleep(0.001), slow(message, peer))
    for n in range(3000):
        a.send(n)
    until(lambda: len(b.messages()) == 3000, 60)
    assert b.messages() == list(range(3000))
