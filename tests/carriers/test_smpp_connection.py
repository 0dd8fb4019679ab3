"""A connection by itself: what happens where no peer can be made to do it at will."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import pytest
import structlog

from carriers.smpp_pair import settings
from passband.carriers.smpp.connection import Connection, Entry
from passband.smpp.pdu import BindTransceiver, BindTransceiverResp, Pdu
from passband.smpp.session_events import Answered, CloseReason
from passband.testing import FakeClock


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self, link: socket.socket | None = None) -> None:
        super().__init__()
        self._link = link
        self.written = b""
        self.ended = ""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._link if name == "socket" else default

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.ended = "closed"

    def abort(self) -> None:
        self.ended = "aborted"


class Nobody:
    """An owner that only counts."""

    def __init__(self) -> None:
        self.lost_entries: list[Entry] = []

    def answered(self, connection: Connection, event: Answered, now: float) -> None: ...

    def received(self, connection: Connection, pdu: Pdu, now: float) -> None: ...

    def lost(self, entries: Sequence[Entry], now: float) -> None:
        self.lost_entries += entries

    def changed(self, connection: Connection, now: float) -> None: ...

    def settle(self, connection: Connection, now: float) -> None: ...


@pytest.fixture
def connection(clock: FakeClock) -> Connection:
    made = Connection(settings(1), BindTransceiver(), Nobody(), clock, "peer")
    made.connection_made(Transport())
    made.data_received(BindTransceiverResp(1, 0, "SMSC").encode())
    return made


def test_the_machine_too_asks_whether_the_peer_lives(clock: FakeClock) -> None:
    with socket.socket() as link:
        Connection(settings(1), BindTransceiver(), Nobody(), clock, "peer").connection_made(Transport(link))
        assert link.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # else only a write that the machine does not take is timed
            assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


def test_a_peer_that_does_not_read_is_given_up_after_thirty_seconds(connection: Connection, clock: FakeClock) -> None:
    assert connection.room == 10
    connection.pause_writing()
    assert connection.room == 0
    clock.advance(29.9)
    connection.tick(clock.now())
    assert connection.closed is None
    clock.advance(0.1)
    connection.tick(clock.now())
    assert connection.closed is not None
    assert connection.closed.reason is CloseReason.CONNECTION_LOST
    assert isinstance(connection._transport, Transport)
    assert connection._transport.ended == "aborted"


def test_what_cut_a_link_is_told(connection: Connection) -> None:
    with structlog.testing.capture_logs() as lines:
        connection.connection_lost(ConnectionResetError("reset by peer"))
    assert [(line["event"], line["cause"]) for line in lines] == [("the bind has ended", "reset by peer")]


def test_a_peer_that_reads_again_is_kept(connection: Connection, clock: FakeClock) -> None:
    connection.pause_writing()
    clock.advance(29.9)
    connection.resume_writing()
    clock.advance(0.1)
    connection.tick(clock.now())
    assert connection.closed is None
    assert connection.room == 10


def test_a_link_that_is_left_keeps_nothing_for_a_peer_that_does_not_read(connection: Connection) -> None:
    connection.pause_writing()
    connection.leave()
    connection.abort()
    assert isinstance(connection._transport, Transport)
    assert connection._transport.ended == "aborted"


def test_a_link_that_ends_twice_ends_once(connection: Connection) -> None:
    connection.abort()
    connection.connection_lost(None)
    assert connection.closed is not None
