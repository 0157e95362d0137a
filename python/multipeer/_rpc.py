"""A connection to the program, for threaded code."""

from __future__ import annotations

import itertools
import json
import queue
import subprocess
import threading
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from ._errors import MultipeerError
from ._lines import encode
from ._program import command

Answer = Callable[[Optional[Dict[str, Any]], Optional[MultipeerError]], None]


class Connection:
    """One process of the program. Methods may be called from any thread.

    ``notified`` is called on the reading thread for each notification, in order, and must not block. ``ended`` is
    called last.
    """

    def __init__(self, notified: Callable[[str, Dict[str, Any]], None], ended: Callable[[], None]) -> None:
        self._notified = notified
        self._ended = ended
        self._numbers = itertools.count(1)
        # The reading thread takes _lock alone: a write may have to wait until the program has written, and thus until
        # this thread has read.
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._answers: Dict[int, Answer] = {}
        self._closed = False
        self._process = subprocess.Popen(command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, name="multipeer", daemon=True)
        self._reader.start()

    def request(self, method: str, params: Dict[str, Any], answer: Answer) -> None:
        """Send a request; ``answer`` is called once, on the reading thread, and must not block.

        Do not call it on the reading thread.
        """
        number = next(self._numbers)
        line = encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        with self._lock:
            closed = self._closed
            if not closed:
                self._answers[number] = answer
        if closed:
            answer(None, MultipeerError("the engine is not running", "closed"))
        else:
            self._write(line)

    @property
    def closed(self) -> bool:
        """Whether the program has exited."""
        with self._lock:
            return self._closed

    def notify(self, method: str, params: Dict[str, Any]) -> None:
        """Send a notification. Do not call it on the reading thread."""
        self._write(encode({"jsonrpc": "2.0", "method": method, "params": params}))

    def call(self, method: str, **params: Any) -> Dict[str, Any]:
        """Send a request and wait for its answer. Do not call it on the reading thread."""
        result, error = self.call_all([(method, params)])[0]
        if error is not None:
            raise error
        return result

    def call_all(
        self, requests: Sequence[Tuple[str, Dict[str, Any]]]
    ) -> List[Tuple[Dict[str, Any], Optional[MultipeerError]]]:
        """Send requests and wait for all of their answers. Do not call it on the reading thread."""
        answers: "queue.Queue[Tuple[int, Dict[str, Any], Optional[MultipeerError]]]" = queue.Queue()

        def answered(at: int) -> Answer:
            return lambda result, error: answers.put((at, result or {}, error))

        for at, (method, params) in enumerate(requests):
            answer = answered(at)
            try:
                self.request(method, params, answer)
            except MultipeerError as error:
                answer(None, error)
        got = sorted((answers.get() for _ in requests), key=lambda answer: answer[0])
        return [(result, error) for _, result, error in got]

    def close(self) -> None:
        """Stop the process after it has delivered pending messages. Idempotent."""
        with self._writing:
            try:
                if self._process.stdin and not self._process.stdin.closed:
                    self._process.stdin.close()
            except OSError:
                pass
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if threading.current_thread() is not self._reader:
            self._reader.join()
            if self._process.stdout:
                self._process.stdout.close()

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        try:
            with self._writing:
                self._process.stdin.write(line)
                self._process.stdin.flush()
        except (OSError, ValueError):  # the program has exited: _read fails the pending calls
            pass

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            for line in self._process.stdout:
                self._take(json.loads(line))
        finally:
            with self._lock:
                self._closed = True
                left, self._answers = list(self._answers.values()), {}
            for answer in left:
                answer(None, MultipeerError("the engine stopped before it answered the call", "closed"))
            self._ended()

    def _take(self, message: Dict[str, Any]) -> None:
        """Handle one line from the program."""
        if "method" in message:
            self._notified(message["method"], message.get("params") or {})
            return
        with self._lock:
            answer = self._answers.pop(message.get("id"), None)
        if answer is not None:
            error = message.get("error")
            answer(message.get("result"), MultipeerError.of(error) if error else None)
