"""Round trips and throughput to a peer.

python speedtest.py NAME               answers
python speedtest.py NAME PEER          measures
"""

import asyncio
import statistics
import sys
import time

from multipeer import Engine

SIZE = 64 << 20


async def sink(stream):
    """Read to the end, and answer with the number of bytes."""
    size = 0
    while True:
        part = await stream.read()
        if not part:
            break
        size += len(part)
    await stream.write(str(size).encode())
    await stream.close_write()


async def measure(engine, peer, size):
    for mode in ("reliable", "unreliable", "stream"):
        times = [await engine.ping(peer, mode) for _ in range(20)]
        print(f"{mode:11} {statistics.median(times) * 1000:.2f} ms", flush=True)
    stream = await engine.open_stream(peer, "sink")
    began = time.monotonic()
    for _ in range(size >> 20):
        await stream.write(bytes(1 << 20))
    await stream.close_write()
    assert int(await stream.read_all()) == size
    print(f"stream      {size / 1e6 / (time.monotonic() - began):.0f} MB/s", flush=True)


async def main(name, peer=None, service="speedtest", size=SIZE):
    engine = Engine(name, service, invite="everyone", accept="everyone")
    await engine.handle_stream("sink", sink)  # before the start, so that no stream comes too early
    async with engine:
        if peer is not None:
            await measure(engine, await engine.wait_for(peer), int(size))
            return
        print("answering as", engine.name, flush=True)
        async for _ in engine.events():
            pass


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        pass
