"""A whole node in this process, with a simulated carrier, and an application on the other side of HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web

from passband.clock import SystemClock
from passband.config.layers import defaults, merge
from passband.config.reading import build
from passband.domain.report import Submission
from passband.service import Node

PUBLIC = "https://messaging.example.net"  # nothing listens there: who fetches from it has not looked into the store
APPLICATION, OTHER_APPLICATION = "7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21", "c19e4f3d-8a70-4b0e-b1f5-2d6a90e7c5a4"
ACCOUNT, OTHER_ACCOUNT = "5500123", "5500124"
OURS, SECOND, OTHERS = "+19195550117", "+19195550118", "+19195550119"  # the last one is of the other account
TOLL_FREE = "+18005550199"
PHONE, FRIEND = "+14085550142", "+14085550177"
PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452") + bytes(range(256)) * 4

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class File(NamedTuple):
    """What the application's server answers for a file; the first ``failures`` times with ``status``."""

    octets: bytes = PNG
    content_type: str | None = "image/png"
    disposition: str | None = None
    status: int = 200
    failures: int = 0
    encoding: str | None = None


class Application:
    """Takes callbacks, and serves files."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.files: dict[str, File] = {}
        self.asked: list[str] = []
        self.status = 204  # the answer to callbacks
        self.refused = 0
        self.hanging = asyncio.Event()  # set it, and files under /hang come
        self._changed = asyncio.Event()
        self.base = ""

    async def callback(self, request: web.Request) -> web.Response:
        if self.status == 204:
            self.events += await request.json()
        else:
            self.refused += 1
        self._changed.set()
        return web.Response(status=self.status)

    async def file(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        self._changed.set()
        if request.path.startswith("/files/hang"):
            await self.hanging.wait()
        file = self.files.get(request.path, File())
        if self.asked.count(request.path) <= file.failures or (file.status != 200 and not file.failures):
            return web.Response(status=file.status)
        headers = {"Content-Type": file.content_type or ""}
        if file.disposition:
            headers["Content-Disposition"] = file.disposition
        if file.encoding:
            headers["Content-Encoding"] = file.encoding
        return web.Response(body=file.octets, headers=headers)

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    async def told(self, count: int, **wanted: Any) -> list[dict[str, Any]]:
        """Return so many events with these fields, once they have come; ``id`` is the message's."""

        def found() -> list[dict[str, Any]]:
            return [
                event
                for event in self.events
                if all(
                    (event["message"] if key in ("id", "direction") else event)[key] == wanted[key] for key in wanted
                )
            ]

        await self.until(lambda: len(found()) >= count)
        assert len(found()) == count
        return found()


class World:
    """The node, its application, and what was handed to its carrier."""

    def __init__(
        self, node: Node, application: Application, session: aiohttp.ClientSession, clock: SystemClock
    ) -> None:
        self.node = node
        self.application = application
        self.session = session
        self.clock = clock
        self.submitted: list[Submission] = []
        host, port = node.addresses[0]
        self.base = f"http://{host}:{port}"
        self.admin = "http://{}:{}".format(*node.addresses[1])
        simulator = node.carriers["simulator"]
        submit = simulator.submit

        def note(submissions: Sequence[Submission]) -> None:
            self.submitted += submissions
            submit(submissions)

        simulator.submit = note  # type: ignore[method-assign]

    def media(self, name: str, account: str = ACCOUNT) -> str:
        return f"{PUBLIC}/api/v2/users/{account}/media/{name}"

    async def upload(
        self, name: str, octets: bytes = PNG, content_type: str = "image/png", account: str = ACCOUNT
    ) -> str:
        """Upload a file; return the URL by which a message names it."""
        url = self.media(name, account)
        headers = {"Content-Type": content_type, **credentials(account)}
        async with self.session.put(self.here(url), data=octets, headers=headers) as answer:
            assert answer.status == 204
        return url

    def here(self, url: str) -> str:
        """Return where a URL of this installation can be reached in this test."""
        return url.replace(PUBLIC, self.base)

    async def get(self, url: str, account: str = ACCOUNT) -> tuple[int, str, bytes]:
        """Fetch a file of ours with an account's credentials; return status, content type and octets."""
        async with self.session.get(self.here(url), headers=credentials(account)) as answer:
            return answer.status, answer.headers.get("Content-Type", ""), await answer.read()

    async def send(self, *to: str, media: Sequence[str] = (), text: str = "Look", sender: str = OURS) -> str:
        """Send a message; return its id."""
        body = {"applicationId": APPLICATION, "to": list(to), "from": sender, "text": text, "media": list(media)}
        url = f"{self.base}/api/v2/users/{ACCOUNT}/messages"
        async with self.session.post(url, json=body, headers=credentials(ACCOUNT)) as answer:
            assert answer.status == 202, await answer.text()
            message: dict[str, Any] = await answer.json()
            id_: str = message["id"]
            return id_

    async def fate(self, id_: str) -> dict[str, Any]:
        """Return the one terminal event of a message with one recipient."""
        [event] = await self.application.told(1, id=id_)
        return event

    async def handset(self, **body: Any) -> int:
        """Let a handset send a message to numbers of ours; return the status."""
        octets = BytesIO(json.dumps(body).encode())  # of a large body given as it is, aiohttp complains
        headers = {"Content-Type": "application/json"}
        async with self.session.post(f"{self.admin}/admin/inbound", data=octets, headers=headers) as answer:
            return answer.status


def credentials(account: str) -> dict[str, str]:
    return {"Authorization": aiohttp.encode_basic_auth(f"user-{account}", "secret")}


def settings(folder: Path, application: str, **more: Any) -> dict[str, Any]:
    """Return a file of settings, as TOML gives it."""

    def account(id_: str, application_id: str, *numbers: str) -> dict[str, Any]:
        return {
            "id": id_,
            "users": [{"name": f"user-{id_}", "password": "secret"}],
            "applications": [{"id": application_id, "callback_url": f"{application}/callbacks"}],
            "numbers": [{"number": number, "application": application_id} for number in numbers],
        }

    return {
        "server": {"listen": "127.0.0.1:0", "public_url": PUBLIC},
        "admin": {"listen": "127.0.0.1:0"},
        "store": {"url": f"sqlite:{folder / 'passband.db'}"},
        "media": {"url": f"file:{folder / 'media'}"},
        "callbacks": {"allow_private_networks": True},
        "carriers": [{"name": "simulator", "type": "simulator", "delay": 0}],
        "accounts": [
            account(ACCOUNT, APPLICATION, OURS, SECOND, TOLL_FREE),
            account(OTHER_ACCOUNT, OTHER_APPLICATION, OTHERS),
        ],
        **more,
    }


@asynccontextmanager
async def world(folder: Path, **more: Any) -> AsyncIterator[World]:
    """Run a node and its application; ``more`` are further settings."""
    application = Application()
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/callbacks", application.callback)
    app.router.add_get("/files/{name:.*}", application.file)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    application.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    clock = SystemClock()
    tree = merge(merge(defaults(), {"log": {"level": "error"}}), settings(folder, application.base, **more))
    node = Node(build(tree, folder, {}), clock=clock)
    try:
        await node.start()
        async with aiohttp.ClientSession() as session:
            yield World(node, application, session, clock)
    finally:
        application.hanging.set()
        await node.stop()
        await runner.cleanup()
