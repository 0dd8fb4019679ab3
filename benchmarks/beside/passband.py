"""Passband, as ``passband serve`` runs it: one node, SQLite, everything durable."""

import base64
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from beside.load import Dialect, request, response
from beside.processes import Gateway, free_ports
from passband.bench.processes import ACCOUNT, APPLICATION, PASSWORD, SENDER, SMPP, USER, node

_AUTHORIZATION = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
_HEADERS = f"Authorization: {_AUTHORIZATION}\r\nContent-Type: application/json\r\n"


def _request(n: int, endpoint: int) -> bytes:
    body = {
        "applicationId": APPLICATION,
        "to": [f"+1408777{n % 10000:04}"],
        "from": SENDER,
        "text": f"Your table for {n % 7 + 1} is ready, see you soon at the desk",
        "tag": str(n),
    }
    return request("POST", f"/api/v2/users/{ACCOUNT}/messages", json.dumps(body).encode(), _HEADERS)


def _number_of(path: bytes, body: bytes) -> int:
    at = body.index(b'"tag":"') + 7
    return int(body[at : body.index(b'"', at)])


DIALECT = Dialect(_request, 202, _number_of, response())


@contextlib.asynccontextmanager
async def running(folder: Path, smsc: int, endpoint: int) -> AsyncIterator[Gateway]:
    """Run it with this carrier and this endpoint; yield it."""
    (port,) = free_ports(1)
    carrier = SMPP.format(port=smsc, binds=1) + "rate = 0\n"
    async with node(folder, f"sqlite:{folder}/passband.db", port, endpoint, carrier) as (pid, _):
        yield Gateway(port, [pid])
