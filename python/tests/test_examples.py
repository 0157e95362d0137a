"""Runs each example in its own processes."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import until

EXAMPLES = Path(__file__).parents[1] / "examples"


class Program:
    """A running example."""

    def __init__(self, name, *args):
        self.out = ""
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        self.process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / name), *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=env,
        )
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        for line in self.process.stdout:
            self.out += line

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def said(self, text):
        until(lambda: text in self.out or self.process.poll() not in (None, 0))
        assert text in self.out, self.out


@pytest.fixture
def start():
    started = []

    def start_one(*args):
        started.append(Program(*args))
        return started[-1]

    yield start_one
    for program in started:
        program.process.kill()
        program.process.wait()


def test_examples_are_short():
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) < 150, path


def test_chat(start, service):
    anna, ben = start("chat.py", "Anna", service), start("chat.py", "Ben", service)
    anna.said("Ben is here")
    anna.say("hello")
    ben.said("Anna: hello")
    anna.process.stdin.close()
    ben.said("Anna has left")
    assert anna.process.wait(20) == 0


def test_whiteboard_with_a_late_joiner(start, service):
    anna = start("whiteboard.py", "Anna", service)
    for n in range(600):
        anna.say(f"note {n}")
    anna.said("\n600 ")
    last = anna.out.splitlines()[-1]
    ben = start("whiteboard.py", "Ben", service)
    ben.said(last)
    ben.say("one more")
    ben.said("\n601 ")
    anna.said(ben.out.splitlines()[-1])


def test_dropfolder(start, service, tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir()
    b.mkdir()
    anna, ben = start("dropfolder.py", "Anna", str(a), service), start("dropfolder.py", "Ben", str(b), service)
    anna.said("Ben is here")
    (a / "one.txt").write_text("one")
    (b / "two.txt").write_text("two")
    until(lambda: (b / "one.txt").exists() and (a / "two.txt").exists())
    anna.said("sent one.txt to Ben: delivered")
    ben.said("sent two.txt to Anna: delivered")
    assert sorted(p.name for p in a.iterdir() if p.is_file()) == ["one.txt", "two.txt"]


def test_rpc(start, service, monkeypatch):
    # The service type is a keyword of main, so that every argument can go to the function.
    run = f"import asyncio, sys, rpc; asyncio.run(rpc.main(*sys.argv[1:], service={service!r}))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), str(EXAMPLES)])}
    server = subprocess.Popen([sys.executable, "-c", run, "Ben"], env=env, stdout=subprocess.DEVNULL)
    try:
        call = [sys.executable, "-c", run, "Anna", "Ben"]
        good = subprocess.run([*call, "add", "1", "2.5"], env=env, capture_output=True, text=True, timeout=60)
        assert (good.stdout, good.returncode) == ("3.5\n", 0), good.stderr
        bad = subprocess.run([*call, "eval", '"1"'], env=env, capture_output=True, text=True, timeout=60)
        assert bad.returncode == 1 and "no such function" in bad.stderr
    finally:
        server.kill()
        server.wait()


def test_speedtest(start, service):
    run = f"import asyncio, speedtest; asyncio.run(speedtest.main('Ben', service={service!r}))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), str(EXAMPLES)])}
    server = subprocess.Popen([sys.executable, "-c", run], env=env, stdout=subprocess.DEVNULL)
    try:
        client = start("speedtest.py", "Anna", "Ben", service, str(4 << 20))
        client.said("MB/s")
        assert client.process.wait(20) == 0
    finally:
        server.kill()
        server.wait()
