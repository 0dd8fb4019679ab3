"""The process that plays applications in a benchmark: ``python -m passband.bench.drive``.

It reads one JSON object from standard input (a Plan), plays it against a node, and writes one JSON object (a Played) to
standard output.
"""

import asyncio
import base64
import json
import statistics
import sys
import time

import msgspec
import uvloop

from passband.bench.plan import Plan, Played
from passband.bench.traffic import OK, Client, Endpoint, post_request

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


class Driver:
    """Plays one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._left = plan.count
        self._sent_at: dict[bytes, float] = {}
        self._seen_at: dict[bytes, float] = {}
        self._told = 0  # of what was accepted; a backlog may have callbacks of its own
        self._repeated = 0
        self._refused = 0
        self._latencies: list[float] = []
        self._answer = UNAVAILABLE if plan.backlog else OK
        self._done = asyncio.Event()
        self._all_accepted = asyncio.Event()
        token = base64.b64encode(f"{plan.user}:{plan.password}".encode()).decode()
        path = f"/api/v2/users/{plan.account}/messages"
        self._requests = [
            post_request(plan.host, path, f"Basic {token}", self._body(n)) for n in range(min(1000, plan.count))
        ]
        self._first = self._last = 0.0

    def _body(self, n: int) -> bytes:
        plan = self._plan
        message = {
            "applicationId": plan.application,
            "to": [f"+1408555{1000 + n % 1000:04d}"],
            "from": plan.sender,
            "text": f"Your table for {n % 7 + 1} is ready, see you soon at the desk",
            "tag": f"booking {n}",
        }
        return json.dumps(message).encode()

    async def play(self) -> Played:
        """Play the plan and return what came of it. Raises TimeoutError after ``give_up`` seconds."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Endpoint(self._seen, lambda: self._answer), "127.0.0.1", self._plan.endpoint_port
        )
        clients = await self._connect()
        self._first = time.monotonic()
        if self._plan.rate:
            await self._pace(clients)
        else:
            for client in clients:
                client.send()
        async with asyncio.timeout(self._plan.give_up):
            await self._all_accepted.wait()
            self._answer = OK
            if self._plan.callbacks:
                await self._done.wait()
        for client in clients:
            client.close()
        server.close()
        return self._played()

    async def _connect(self) -> list[Client]:
        clients = []
        for n in range(self._plan.connections):
            port = self._plan.ports[n % len(self._plan.ports)]
            _, client = await asyncio.get_running_loop().create_connection(
                lambda: Client(self._next, self._answered), self._plan.host, port
            )
            clients.append(client)
        return clients

    def _next(self) -> bytes | None:
        """Return the next request, unless the plan is over or its rate says: not yet."""
        if not self._first or self._left == 0:
            return None
        if self._plan.rate:
            issued = self._plan.count - self._left
            if self._first + issued / self._plan.rate > time.monotonic():
                return None
        self._left -= 1
        return self._requests[self._left % len(self._requests)]

    async def _pace(self, clients: list[Client]) -> None:
        while self._left:
            for client in clients:
                if client.idle:
                    client.send()
                    if client.idle:
                        break
            await asyncio.sleep(0.001)

    def _answered(self, status: int, id_: bytes, sent: float, now: float) -> None:
        if status == 202:
            self._sent_at[id_] = sent
            self._told += id_ in self._seen_at
            self._latencies.append(now - sent)
        else:
            self._refused += 1
        self._last = now
        if len(self._sent_at) + self._refused == self._plan.count:
            self._all_accepted.set()
            self._check()

    def _seen(self, id_: bytes, now: float) -> None:
        if self._answer is not OK:
            return
        if id_ in self._seen_at:
            self._repeated += 1
            return
        self._seen_at[id_] = now
        self._told += id_ in self._sent_at
        self._check()

    def _check(self) -> None:
        if self._all_accepted.is_set() and self._told == len(self._sent_at):
            self._done.set()

    def _played(self) -> Played:
        end = max(self._seen_at.values(), default=self._last)
        told = [self._seen_at[i] - sent for i, sent in self._sent_at.items() if i in self._seen_at]
        return Played(
            accepted=len(self._sent_at),
            refused=self._refused,
            told=self._told,
            repeated=self._repeated,
            accept_seconds=self._last - self._first,
            total_seconds=end - self._first,
            drain_seconds=end - min(self._seen_at.values(), default=end),
            accept_latency=_percentiles(self._latencies),
            callback_latency=_percentiles(told),
        )


def _percentiles(values: list[float]) -> tuple[float, float]:
    if len(values) < 2:
        return (0.0, 0.0)
    cuts = statistics.quantiles(values, n=100)
    return cuts[49], cuts[98]


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    played = uvloop.run(Driver(plan).play())
    sys.stdout.buffer.write(msgspec.json.encode(played))


if __name__ == "__main__":
    main()
