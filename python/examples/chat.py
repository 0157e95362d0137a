"""A chat with everyone nearby: python chat.py NAME. Typed lines go to all; Ctrl-D ends it."""

import asyncio
import sys

from multipeer import Engine, MultipeerError, PeerAdded, PeerRemoved


async def show_events(engine):
    async for event in engine.events():
        if isinstance(event, PeerAdded):
            print(event.peer.name, "is here", flush=True)
        elif isinstance(event, PeerRemoved):
            print(event.peer.name, "has left", flush=True)


async def show_messages(engine):
    async for message in engine.messages():
        # ascii() prints control characters in a stranger's message as escapes.
        text = message.value if str(message.value).isprintable() else ascii(message.value)
        print(f"{message.name}: {text}", flush=True)


async def main(name, service="chat"):
    async with Engine(name, service, invite="everyone", accept="everyone") as engine:
        tasks = [asyncio.create_task(show(engine)) for show in (show_events, show_messages)]
        loop = asyncio.get_running_loop()
        while True:
            line = await loop.run_in_executor(None, sys.stdin.readline)
            if not line:
                break
            try:
                await engine.send(line.rstrip("\n"))
            except MultipeerError as error:
                print("not delivered:", error, flush=True)
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
