"""A node on a free port of this process, and what a test asks of it over HTTP."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
import msgspec

from passband.config import developers
from passband.config.developers import SmppPeer, dev_settings
from passband.dev import inbox_url
from passband.service import Node
from ports import free_port

OURS = developers.NUMBERS[0]
THEIRS = "+14085550142"
OTHERS = "+14085550177"


class Running:
    """A running node. ``until`` asks again and again until what comes is as it should be."""

    def __init__(self, node: Node, session: aiohttp.ClientSession, base: str) -> None:
        self.node = node
        self.session = session
        self.base = base

    @classmethod
    @asynccontextmanager
    async def started(
        cls, folder: Path, *, edition: str = "developers", smpp: SmppPeer | None = None
    ) -> AsyncIterator[Self]:
        """Start one; its carrier is ``smpp``, or a simulated one."""
        port = free_port()
        settings = dev_settings(folder, port=port, callback_url=inbox_url(port), smpp=smpp)
        if smpp is None:
            # A short delay would be a race for tests that put faults in place; none of them waits for it in real time.
            settings = msgspec.structs.replace(
                settings, carriers=tuple(msgspec.structs.replace(c, delay=0.01) for c in settings.carriers)
            )
        node = Node(settings, developers=edition == "developers")
        await node.start()
        try:
            async with aiohttp.ClientSession() as session:
                yield cls(node, session, f"http://127.0.0.1:{port}")
        finally:
            await node.stop()

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        status: int | None = None,
    ) -> Any:
        """Ask, and return what is answered; ``status`` is what it must be, by default any of success."""
        async with self.session.request(method, self.base + path, json=body, headers=headers) as response:
            text = await response.text()
            assert response.status == status if status else response.ok, (response.status, text)
            return json.loads(text) if "json" in response.content_type else text

    async def get(self, path: str) -> Any:
        return await self.ask("GET", path)

    async def post(self, path: str, body: Any) -> Any:
        return await self.ask("POST", path, body)

    async def send(self, text: str = "Your table is ready", to: str | list[str] = THEIRS, **fields: Any) -> str:
        """Send as an application does; return the message's identifier."""
        body = {"applicationId": developers.APPLICATION, "from": OURS, "to": to, "text": text, **fields}
        credentials = base64.b64encode(f"{developers.USER}:{developers.PASSWORD}".encode()).decode()
        answer = await self.ask(
            "POST",
            f"/api/v2/users/{developers.ACCOUNT}/messages",
            body,
            headers={"Authorization": f"Basic {credentials}"},
        )
        id_: str = answer["id"]
        return id_

    async def receive(self, text: str = "yes", to: str | list[str] = OURS, sender: str = THEIRS, **more: Any) -> Any:
        return await self.post("/admin/inbound", {"from": sender, "to": to, "text": text, **more})

    async def until(self, path: str, right: Callable[[Any], Any]) -> Any:
        """Return what is answered there once it is right."""
        async with asyncio.timeout(30):
            while True:
                answer = await self.get(path)
                if right(answer):
                    return answer
                await asyncio.sleep(0.005)

    async def followed(self, id_: str, state: str = "done") -> list[dict[str, Any]]:
        """Return the recipients of a message, once they all are in a state."""
        path = f"/admin/messages?id={id_}"
        found = await self.until(path, lambda a: a["messages"] and all(m["state"] == state for m in a["messages"]))
        messages: list[dict[str, Any]] = found["messages"]
        return sorted(messages, key=lambda message: int(message["n"]))
