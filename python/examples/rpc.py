"""Functions that another device can call.

python rpc.py NAME                           serves
python rpc.py NAME PEER FUNCTION ARGUMENT... calls
"""

import asyncio
import json
import platform
import sys

from multipeer import Engine, MultipeerError

# Only the functions listed here can be called, whatever a peer requests.
FUNCTIONS = {
    "add": lambda *numbers: sum(numbers),
    "upper": lambda text: text.upper(),
    "system": platform.system,
}


async def answer(message):
    call = message.value
    if not isinstance(call, dict) or call.get("function") not in FUNCTIONS or not isinstance(call.get("args"), list):
        raise ValueError("no such function")
    return FUNCTIONS[call["function"]](*call["args"])


async def main(name, peer=None, function="", *args, service="rpc"):
    engine = Engine(name, service, invite="everyone", accept="everyone")
    topic = engine.topic("rpc")
    if peer is None:
        await topic.answer(answer)  # before the start, so that no call comes too early
    async with engine:
        if peer is None:
            print("serving as", engine.name, flush=True)
            async for _ in engine.events():
                pass
        call = {"function": function, "args": [json.loads(a) for a in args]}
        try:
            print(json.dumps(await topic.request(call, await engine.wait_for(peer))))
        except MultipeerError as error:
            sys.exit(f"{function}: {error}")


if __name__ == "__main__":
    try:
        asyncio.run(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        pass
