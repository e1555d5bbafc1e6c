"""The API server without TLS: a tunnel from a loopback port, for a proxy that wants to read what passes.

Bytes only; who asks still needs a token.
"""

import asyncio
import ssl
import threading

CHUNK_BYTES = 1 << 16


class Tunnel:
    def __init__(self, port, upstream_port, ca):
        self.port = port
        self.upstream_port = upstream_port
        self.context = ssl.create_default_context(cafile=str(ca))
        # Plain HTTP has no way to agree on HTTP/2.
        self.context.set_alpn_protocols(["http/1.1"])

    def start(self):
        listening = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.serve(listening)), name="plain", daemon=True).start()
        listening.wait(10)

    async def serve(self, listening):
        server = await asyncio.start_server(self.connect, "127.0.0.1", self.port)
        listening.set()
        async with server:
            await server.serve_forever()

    async def connect(self, reader, writer):
        try:
            upstream = await asyncio.open_connection("127.0.0.1", self.upstream_port, ssl=self.context)
        except OSError:
            writer.close()
            return
        done = [asyncio.ensure_future(pump(reader, upstream[1])), asyncio.ensure_future(pump(upstream[0], writer))]
        # One side's end is the end of both: HTTP has no use for half of a connection.
        await asyncio.wait(done, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.cancel()
        for side in (writer, upstream[1]):
            side.close()


async def pump(reader, writer):
    try:
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    except (OSError, asyncio.CancelledError):
        pass
