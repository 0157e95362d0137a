"""Shared by the tests: real processes that connect over the loopback interface."""

import itertools
import os
import time

import pytest

os.environ.setdefault("MULTIPEER_ARGS", "--interface lo")

_services = itertools.count(1)


@pytest.fixture
def service():
    """A service type that no other test uses."""
    return f"p{os.getpid() % 100000}-{next(_services)}"


def until(condition, seconds=20):
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was never met"
        time.sleep(0.01)
