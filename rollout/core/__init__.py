"""The whole policy as pure functions: no asyncio, clock, socket, disk, log or chance."""
