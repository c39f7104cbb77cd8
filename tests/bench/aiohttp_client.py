"""aiohttp's client as fast as it goes: what a load generator written in an afternoon would be."""

import asyncio
import json
import sys
import time

import aiohttp


async def main(url: str, connections: int, seconds: float) -> None:
    """Keep every connection busy, and say what that came to."""
    count = 0
    until = time.monotonic() + seconds

    async def call(session: aiohttp.ClientSession) -> None:
        nonlocal count
        while time.monotonic() < until:
            async with session.get(url) as response:
                await response.read()
                count += response.status == 200

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:
        begin = time.process_time()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(connections):
                tasks.create_task(call(session))
    sys.stdout.write(json.dumps({"requests": count, "cpu_s": time.process_time() - begin}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
