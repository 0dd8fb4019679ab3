"""What the processes of a benchmark tell each other."""

import msgspec


class Plan(msgspec.Struct):
    """What to play: ``count`` messages from ``connections`` at once, or at ``rate`` per second if that is not 0.

    With ``callbacks`` it waits for one callback for each message; with ``backlog`` the endpoint answers 503 until all
    messages are accepted, then 200. The connections are spread over the nodes that listen on ``ports``.
    """

    host: str
    ports: list[int]
    endpoint_port: int
    account: str
    user: str
    password: str
    application: str
    sender: str
    count: int
    connections: int
    rate: float = 0.0
    callbacks: bool = True
    backlog: bool = False
    give_up: float = 120.0


class Backlog(msgspec.Struct):
    """What waits in a store before anything is measured: ``count`` recipients for ``carrier``, or where that is empty
    as many callbacks of ``application``; evenly spread over the last ``oldest_seconds``."""

    store: str
    count: int
    account: str
    application: str
    sender: str
    carrier: str = ""
    oldest_seconds: float = 3 * 3600.0


class Played(msgspec.Struct):
    """What came of it; seconds for times, per second for rates. Latencies are the 50th and 99th percentile."""

    accepted: int
    refused: int
    told: int
    repeated: int
    accept_seconds: float
    total_seconds: float
    drain_seconds: float
    accept_latency: tuple[float, float]
    callback_latency: tuple[float, float]
