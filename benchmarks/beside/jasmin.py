"""Jasmin: its three daemons, with RabbitMQ and Redis (Debian: rabbitmq-server, redis-server; PyPI: jasmin 0.11.0).

0.11.1 drops every receipt: after each answer it asks a request for its response, which requests do not have.
"""

import asyncio
import contextlib
import os
import shutil
import urllib.parse
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from beside.load import Dialect, number_in_path, request, response
from beside.processes import START_SECONDS, Gateway, Missing, free_ports, program

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one on the PATH changes the user
CONSOLE_SECONDS = 10.0

_CONFIGURATION = """
[sm-listener]
log_level = ERROR
[dlr]
log_level = ERROR
[dlr-thrower]
log_level = ERROR
[http-api]
log_level = ERROR
bind = 127.0.0.1
port = {api}
[jcli]
port = {jcli}
authentication = no
[amqp-broker]
port = {amqp}
spec = {spec}
[redis-client]
port = {redis}
[router]
port = {router}
bind = 127.0.0.1
store_path = {folder}/store
[client-management]
port = {clients}
bind = 127.0.0.1
store_path = {folder}/store
[smpp-server]
port = {server}
bind = 127.0.0.1
[smpp-server-pb]
port = {pb}
bind = 127.0.0.1
[smpp-server-pb-client]
port = {pb}
"""
_PORTS = ("api", "jcli", "amqp", "redis", "router", "clients", "server", "pb", "epmd", "dist")
_SET_UP: Sequence[Sequence[str]] = (
    ("group -a", "gid bench", "ok"),
    ("user -a", "username bench", "password bench", "gid bench", "uid bench", "ok"),
    (
        *("smppccm -a", "cid bench", "host 127.0.0.1", "port {smsc}", "username bench", "password bench"),
        *("submit_throughput 0", "loglevel 40", "ok"),
    ),
    ("smppccm -1 bench",),
    ("mtrouter -a", "type defaultroute", "connector smppc(bench)", "rate 0.0", "ok"),
)


def _request(n: int, endpoint: int) -> bytes:
    query = urllib.parse.urlencode(
        {
            "username": "bench",
            "password": "bench",
            "from": "19195550117",
            "to": f"1408777{n % 10000:04}",
            "content": f"Your table for {n % 7 + 1} is ready, see you soon at the desk",
            "dlr": "yes",
            "dlr-level": "2",
            "dlr-method": "GET",
            "dlr-url": f"http://127.0.0.1:{endpoint}/{n}",
        }
    )
    return request("GET", f"/send?{query}")


DIALECT = Dialect(_request, 200, number_in_path, response(b"ACK/Jasmin"))


@contextlib.asynccontextmanager
async def running(folder: Path, smsc: int, endpoint: int, *, venv: Path) -> AsyncIterator[Gateway]:
    """Run it with this carrier; ``venv`` is the virtual environment that has it. Yield it.

    Raises Missing.
    """
    spec, redis, epmd = _installed(venv)
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    for name in ("store", "log", "rabbitmq"):
        (folder / name).mkdir()
    file = folder / "jasmin.cfg"
    file.write_text(_CONFIGURATION.format(folder=folder, spec=spec, **ports))
    environ = {"LOG_PATH": str(folder / "log"), "CONFIG_PATH": str(folder), "PYTHONWARNINGS": "ignore"}
    async with contextlib.AsyncExitStack() as stack:

        async def run(*command: str | Path, listens: int, **more: str) -> int:
            return await stack.enter_async_context(program(folder, *command, listens=listens, environ=more))

        leaders = [
            await run(
                redis, "--port", str(ports["redis"]), "--save", "", "--bind", "127.0.0.1", listens=ports["redis"]
            ),
            await run(epmd, "-port", str(ports["epmd"]), listens=ports["epmd"]),
            await run(RABBITMQ, listens=ports["amqp"], **_rabbitmq(folder, ports)),
        ]
        await asyncio.sleep(2)  # its listener is there before its users are
        for daemon, listens in (("jasmind.py", ports["api"]), ("dlrlookupd.py", 0), ("dlrd.py", 0)):
            leaders.append(await run(venv / "bin" / daemon, "-c", str(file), listens=listens, **environ))
        await _bound(folder / "log" / "amqp-client.log")
        await _set_up(ports["jcli"], smsc)
        yield Gateway(ports["api"], leaders)


def _installed(venv: Path) -> tuple[Path, str, str]:
    """Return AMQP's specification, Redis and Erlang's port mapper. Raises Missing."""
    specs = list(venv.glob("lib/python3*/site-packages/txamqp/specs/standard/amqp0-9-1.stripped.xml"))
    redis, epmd = shutil.which("redis-server"), shutil.which("epmd")
    if not (specs and redis and epmd and RABBITMQ.exists()):
        packages = f"python3.11 -m venv {venv}; {venv}/bin/pip install jasmin==0.11.0"
        raise Missing(f"apt-get install rabbitmq-server redis-server; {packages}")
    return specs[0], redis, epmd


def _rabbitmq(folder: Path, ports: dict[str, int]) -> dict[str, str]:
    own = folder / "rabbitmq"
    (own / "plugins").write_text("[].")
    return {
        "HOME": str(own),
        "ERL_EPMD_PORT": str(ports["epmd"]),
        "RABBITMQ_NODENAME": f"bench{os.getpid()}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(ports["amqp"]),
        "RABBITMQ_DIST_PORT": str(ports["dist"]),
        "RABBITMQ_MNESIA_BASE": str(own),
        "RABBITMQ_LOG_BASE": str(own),
        "RABBITMQ_PID_FILE": str(own / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(own / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(own / "none"),
        "RABBITMQ_CONF_ENV_FILE": str(own / "none"),
    }


async def _bound(log: Path) -> None:
    """Return when its daemons have the queues of receipts: without them receipts are dropped without a word."""
    for _ in range(int(START_SECONDS * 10)):
        if _declared(log, "DLRLookup-main") and _declared(log, "dlr_thrower"):
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(1)  # between declared and bound


def _declared(log: Path, queue: str) -> bool:
    return f"declared [{queue}]" in log.read_text()


async def _set_up(port: int, smsc: int) -> None:
    """Tell it of its carrier, its route and its user, as an operator does on its console."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\r\n")  # it shows no prompt before
    await asyncio.wait_for(_prompt(reader), CONSOLE_SECONDS)
    for block in _SET_UP:
        for line in block:
            writer.write(line.format(smsc=smsc).encode() + b"\r\n")
            said = await asyncio.wait_for(_prompt(reader), CONSOLE_SECONDS)
        if "Successfully" not in said:
            raise Missing(f"its console refused {block[0]!r}: {said!r}")
    writer.close()
    await asyncio.sleep(2)  # it binds


async def _prompt(reader: asyncio.StreamReader) -> str:
    said = b""
    while not said.endswith((b"jcli : ", b"> ")):
        said += await reader.read(4096)
    return said.decode(errors="replace")
