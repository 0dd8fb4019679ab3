"""A node that is told to stop: what it waits for, and what does not wait for each other."""

import asyncio
import base64
from pathlib import Path

from carriers.smpp_pair import running_smsc
from passband.config import developers
from passband.config.developers import SmppPeer, dev_settings
from passband.dev import inbox_url
from passband.service import Node
from ports import free_port

HALF = (
    f"PUT /api/v2/users/{developers.ACCOUNT}/media/menu.png HTTP/1.1\r\nHost: x\r\n"
    f"Authorization: Basic {base64.b64encode(b'demo:demo').decode()}\r\nContent-Length: 1000000\r\n\r\n{{"
).encode()


async def test_a_client_that_dawdles_keeps_no_carrier_from_being_left(tmp_path: Path) -> None:
    """Each has ten seconds, and both together no more."""
    port = free_port()
    async with running_smsc() as (smsc, at):
        peer = SmppPeer(f"127.0.0.1:{at}", "passband")
        node = Node(dev_settings(tmp_path, port=port, callback_url=inbox_url(port), smpp=peer), developers=True)
        await node.start()
        async with asyncio.timeout(30):
            while not smsc.counters["binds"]:
                await asyncio.sleep(0.005)
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HALF)
            while not any(listener.active for listener in node.listeners):
                await asyncio.sleep(0.005)
            stopping = asyncio.create_task(node.stop())
            while smsc.peers:
                await asyncio.sleep(0.005)
            assert any(listener.active for listener in node.listeners)
            assert not stopping.done()
            writer.close()
            await stopping
