"""A folder that several devices share: a file that is put into it arrives on all of them.

python dropfolder.py NAME FOLDER

Only peers with the same service type take part; choose one that is hard to guess, or verify the devices first and use
accept="verified".
"""

import asyncio
import sys
from pathlib import Path

from multipeer import Engine, MultipeerError, PeerAdded

PAUSE = 0.5  # seconds between two scans of the folder


def files_in(folder):
    """The files that are complete: their size is the same in two scans."""
    return {p.name: p.stat().st_size for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")}


class DropFolder:
    def __init__(self, engine, folder):
        self.engine, self.folder = engine, folder
        self.received = set()
        self.sent = set()  # (peer, name)
        self.tasks = set()

    async def accept(self, offer):
        for name in offer.transfer.names:
            self.received.add(name)
        done = await offer.accept(str(self.folder), existing="skip")
        self.received.update(Path(path).name for path in done.saved)
        print(f"received {', '.join(done.names)} from {done.peer_name}: {done.state}", flush=True)

    async def send(self, peer, name):
        try:
            done = await self.engine.wait(await self.engine.offer(peer, str(self.folder / name)))
            print(f"sent {name} to {done.peer_name}: {done.state}", flush=True)
            if not done.delivered:
                self.sent.discard((peer.id, name))
        except MultipeerError as error:
            self.sent.discard((peer.id, name))
            print(f"{name} to {peer.name}: {error}", flush=True)

    async def look(self):
        before = {}
        while True:
            now = files_in(self.folder)
            complete = [name for name, size in now.items() if before.get(name) == size and name not in self.received]
            for peer in await self.engine.peers():
                for name in complete:
                    if peer.connected and (peer.id, name) not in self.sent:
                        self.sent.add((peer.id, name))
                        task = asyncio.create_task(self.send(peer, name))
                        self.tasks.add(task)
                        task.add_done_callback(self.tasks.discard)
            before = now
            await asyncio.sleep(PAUSE)


async def main(name, folder, service="dropfolder"):
    engine = Engine(name, service, invite="everyone", accept="everyone")
    drop = DropFolder(engine, Path(folder))
    await engine.handle_offers(drop.accept)  # before the start, so that no offer comes too early
    async with engine:
        looking = asyncio.create_task(drop.look())
        try:
            async for event in engine.events():
                if isinstance(event, PeerAdded):
                    print(event.peer.name, "is here", flush=True)
        finally:
            looking.cancel()


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        pass
