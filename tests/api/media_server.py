"""A process that serves media alone: prints its port, and for each line it reads the most memory it ever had."""

import asyncio
import re
import sys
from pathlib import Path

import uvloop

from passband.api.app import create_app
from passband.api.auth import Authenticator
from passband.api.limits import Limits
from passband.api.media import media_resource
from passband.api.server import Listener
from passband.domain.account import Account, Directory, User
from passband.domain.message import Message
from passband.media import MAX_OCTETS
from passband.media.files import FileMedia

NOW = 1773044142.317


async def _unused(*_: object) -> Message:
    raise AssertionError


def _peak() -> int:
    # Not ru_maxrss: a process begins with that of the one that started it, however large that was.
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


async def serve(folder: Path, account: str) -> None:
    directory = Directory([Account(account, (User("demo", "secret"),))])
    store = FileMedia(folder)
    authenticator = Authenticator(lambda: directory)
    api = create_app(
        authenticator=authenticator,
        accept=_unused,
        search=_unused,  # type: ignore[arg-type]
        now=lambda: NOW,
        public_url="https://messaging.example.net",
        resources={"media": media_resource(store, lambda: NOW, "https://messaging.example.net", MAX_OCTETS)},
    )
    listener = Listener(api, limits=Limits(connections=1000), body_limit=api.body_limit)
    await listener.start()
    print(listener.port, flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(_peak(), flush=True)
    await listener.stop(grace=1)
    authenticator.close()
    await store.close()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), sys.argv[2]))
