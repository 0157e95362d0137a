"""A whiteboard shared by all peers, including late joiners: python whiteboard.py NAME.

Each line of input is a note on the board. The board is a set of notes, so neither the order nor repetitions matter: a
peer that is added gets the whole board, and the boards become equal.
"""

import asyncio
import hashlib
import json
import sys

from multipeer import Engine, MultipeerError, PeerAdded

CHUNK = 500  # notes per message


class Board:
    def __init__(self):
        self.notes = {}  # (author, number) -> text

    def add(self, notes):
        """Add the notes from a peer, if they have the right form, and return how many are new."""
        before = len(self.notes)
        for note in notes if isinstance(notes, list) else []:
            if isinstance(note, dict):
                author, number, text = (note.get(key) for key in ("author", "number", "text"))
                if isinstance(author, str) and isinstance(number, int) and isinstance(text, str):
                    self.notes.setdefault((author, number), text)
        return len(self.notes) - before

    def all(self):
        notes = sorted(self.notes.items())
        return [{"author": author, "number": number, "text": text} for (author, number), text in notes]

    def digest(self):
        return hashlib.sha256(json.dumps(self.all()).encode()).hexdigest()[:12]


async def greet_newcomers(engine, topic, board):
    async for event in engine.events():
        if isinstance(event, PeerAdded):
            notes = board.all()
            for at in range(0, len(notes), CHUNK):
                try:
                    await topic.post(notes[at : at + CHUNK], event.peer)
                except MultipeerError:
                    break  # the peer has already left


async def follow(topic, board):
    async for message in topic.messages():
        if board.add(message.value):
            print(len(board.notes), board.digest(), flush=True)


async def main(name, service="whiteboard"):
    board = Board()
    async with Engine(name, service, invite="everyone", accept="everyone") as engine:
        topic = engine.topic("board")
        tasks = [asyncio.create_task(follow(topic, board)), asyncio.create_task(greet_newcomers(engine, topic, board))]
        loop = asyncio.get_running_loop()
        number = 0
        while True:
            line = await loop.run_in_executor(None, sys.stdin.readline)
            if not line:
                break
            number += 1
            note = {"author": engine.id, "number": number, "text": line.rstrip("\n")}
            board.add([note])
            print(len(board.notes), board.digest(), flush=True)
            try:
                await topic.post([note])
            except MultipeerError:
                pass  # no one is here yet: newcomers get it
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
