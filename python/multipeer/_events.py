"""The queue of one reader of events."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from typing import Any, Optional, Set, Tuple

from ._values import PeerAdded, PeerFound, PeerLost, PeerRemoved, Problem, TransferChanged, Undelivered

# The maximum number of unread events. Only transfers can reach it; then the oldest transfer event is dropped.
MOST = 8192


class EventQueue(asyncio.Queue):  # type: ignore[type-arg]
    """Events in order, in limited memory: a newer event about the same thing replaces an unread one.

    A peer that is found and lost again before anything is read is never yielded.
    """

    def _init(self, maxsize: int) -> None:
        self._queue: "OrderedDict[Tuple[Any, ...], Any]" = OrderedDict()
        self._numbers = itertools.count()
        self._shown: Set[str] = set()  # the IDs of the peers that the reader knows
        self.added: Set[str] = set()  # of these, the peers whose PeerAdded the reader has got
        # Peers whose PeerAdded and PeerRemoved were both unread, until the reader has listed the peers that are there.
        self.cancelled: Optional[Set[str]] = set()

    def show(self, peer: str) -> None:
        """Record that the reader already knows a peer from another source."""
        self._shown.add(peer)

    def is_new(self, event: Any) -> bool:
        """Report whether the reader has to get an event that get returned.

        A session that starts and ends before anything is read is not reported, and neither is one that the reader knows
        from another source.
        """
        if isinstance(event, PeerAdded):
            known = event.peer.id in self.added
            self.added.add(event.peer.id)
            return not known
        if isinstance(event, PeerRemoved):
            known = event.peer.id in self.added
            self.added.discard(event.peer.id)
            return known
        return True

    def _put(self, event: Any) -> None:
        if isinstance(event, PeerFound):
            self._replace(("found", event.peer.id), event)
        elif isinstance(event, PeerAdded):
            self._append(("added", event.peer.id), event)
        elif isinstance(event, PeerRemoved):
            unread = self._queue.pop(("added", event.peer.id), None)
            if unread is None or event.peer.id in self.added:
                self._append(("removed", event.peer.id), event)
            elif self.cancelled is not None and len(self.cancelled) < MOST:
                self.cancelled.add(event.peer.id)
        elif isinstance(event, PeerLost):
            unread = self._queue.pop(("found", event.peer.id), None)
            if unread is None or event.peer.id in self._shown:
                self._append(("lost", event.peer.id), event)
        elif isinstance(event, TransferChanged):
            self._replace(("transfer", event.transfer.id), event)
        elif isinstance(event, Undelivered):
            self._append(("undelivered", event.peer), event)
        elif isinstance(event, Problem):
            self._append(("problem",), event)
        else:
            self._append(("other", next(self._numbers)), event)

    def _replace(self, key: Tuple[Any, ...], event: Any) -> None:
        """Replace an older event with this one, or append it."""
        self._queue[key] = event
        if len(self._queue) > MOST:
            oldest = next((k for k in self._queue if k[0] == "transfer"), None)
            if oldest is not None:
                del self._queue[oldest]

    def _append(self, key: Tuple[Any, ...], event: Any) -> None:
        """Append the event, and drop an older one with the same key."""
        self._queue.pop(key, None)
        self._queue[key] = event

    def _get(self) -> Any:
        _, event = self._queue.popitem(last=False)
        if isinstance(event, (PeerFound, PeerAdded)):
            self._shown.add(event.peer.id)
        elif isinstance(event, PeerLost):
            self._shown.discard(event.peer.id)
        return event
