"""What an operator sees of a carrier that goes wrong: the log, the last error of a link, and the counts."""

import asyncio
import contextlib
import itertools
from pathlib import Path
from random import Random
from typing import Any

import pytest
import structlog

from carriers.collector import Collector, a_submission, running, turns
from carriers.smpp_pair import pair, running_smsc, settings
from passband.carriers.smpp import SmppCarrier
from passband.carriers.smpp.refusals import MOST_STATUSES, OTHERS, Refusals
from passband.clock import SystemClock
from passband.smpp.codec import Decoder
from passband.smpp.outcome import submit_verdict
from passband.smpp.pdu import GenericNack, Pdu, Unbind
from passband.testing import FakeClock

BAD_NAMES: dict[str, dict[str, Any]] = {
    "an empty label": {"host": "a..b"},
    "a long label": {"host": "a" * 70},
}


async def told(carrier: SmppCarrier) -> None:
    """Return when something has gone wrong with the carrier's link."""
    async with asyncio.timeout(10):
        while carrier.links()[0].last_error is None:
            await asyncio.sleep(0.002)


async def test_a_pause_is_told_once_with_the_status_that_asked_for_it(collector: Collector, clock: FakeClock) -> None:
    with structlog.testing.capture_logs() as lines:
        async with pair(collector, clock=clock, drain_timeout=0.05, smsc={"errors": {0x14: 1.0}}) as both:
            await both.bound()
            both.carrier.submit([a_submission() for _ in range(5)])
            await both.until_smsc("submits", 5)
            await both.until_clock(lambda: both.carrier.throttled_count == 5, 0.0)
            assert both.carrier.refusals.by_status == {"ESME_RMSGQFUL": 5}
            await both.until_clock(lambda: both.carrier.throttled_count > 5, 0.5)
    pauses = [
        (line["status"], line["seconds"]) for line in lines if line["event"] == "the carrier asks for less, a pause"
    ]
    assert pauses[:2] == [("ESME_RMSGQFUL", 1.0), ("ESME_RMSGQFUL", 2.0)]


async def test_refusals_are_counted_by_the_carriers_own_numbers_too(collector: Collector) -> None:
    async with pair(collector, smsc={"errors": {0x412: 1.0}}) as both:
        await both.bound()
        both.carrier.submit([a_submission(), a_submission()])
        await collector.until(lambda: len(collector.outcomes) == 2)
        assert both.carrier.refusals.by_status == {"vendor 0x00000412": 2}


def test_a_carrier_that_answers_anything_does_not_fill_the_memory() -> None:
    refusals = Refusals("carrier")
    for status in range(0x1000, 0x1000 + MOST_STATUSES + 5):
        refusals.count(status, submit_verdict(status), nacked=False)
    refusals.count(0x1000, submit_verdict(0x1000), nacked=False)
    assert len(refusals.by_status) == MOST_STATUSES + 1
    assert (refusals.by_status[OTHERS], refusals.by_status["unknown 0x00001000"]) == (5, 2)


async def test_why_a_bind_was_left_is_told(collector: Collector, clock: FakeClock) -> None:
    with structlog.testing.capture_logs() as lines:
        async with pair(collector, clock=clock, smsc={"errors": {0x04: 1.0}}) as both:
            await both.bound()
            both.carrier.submit([a_submission()])
            await both.until_clock(lambda: both.smsc.counters["binds"] == 2)
            assert both.carrier.links()[0].last_error == "a segment was refused: ESME_RINVBNDSTS"
    assert "ESME_RINVBNDSTS" in [line.get("status") for line in lines if line["log_level"] == "warning"]


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_a_name_that_cannot_be_looked_up_is_one_more_host_without_connection(
    name: str, collector: Collector
) -> None:
    carrier = SmppCarrier(settings(2775, **BAD_NAMES[name]), SystemClock(), Random(1))
    assert len(await carrier.check()) == 1
    async with running(carrier, collector):
        await told(carrier)
    assert str(carrier.links()[0].last_error).startswith("connect: ")


async def test_certificates_that_are_none_are_told_and_end_nothing(tmp_path: Path, collector: Collector) -> None:
    nothing = tmp_path / "authority.pem"
    nothing.write_text("not a certificate")
    carrier = SmppCarrier(settings(2775, tls=True, tls_ca_file=str(nothing)), SystemClock(), Random(1))
    (fault,) = await carrier.check()
    assert str(nothing) in fault
    async with running(carrier, collector):
        await told(carrier)
    assert str(nothing) in str(carrier.links()[0].last_error)


class Stubborn:
    """A peer that answers every first PDU in the same way."""

    def __init__(self, answer: Pdu) -> None:
        self._answer = answer
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        decoder = Decoder()
        with contextlib.closing(writer):
            while data := await reader.read(65536):
                if decoder.feed(data):
                    writer.write(self._answer.encode())


@pytest.mark.slow
async def test_a_peer_that_unbinds_instead_of_binding_is_asked_less_and_less(
    collector: Collector, clock: FakeClock
) -> None:
    peer = Stubborn(Unbind(1))
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    with structlog.testing.capture_logs() as lines:
        carrier = SmppCarrier(settings(server.sockets[0].getsockname()[1]), clock, Random(1))
        async with server, running(carrier, collector):
            began = clock.now()
            while clock.now() < began + 60.0:
                clock.advance(0.5)
                await asyncio.sleep(0.002)
    assert 4 <= peer.connections <= 8
    assert {line["event"] for line in lines if line["log_level"] == "warning"} == {"no bind"}


async def test_a_refusal_without_a_status_is_not_called_well(collector: Collector) -> None:
    peer = Stubborn(GenericNack(1))
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    carrier = SmppCarrier(settings(server.sockets[0].getsockname()[1]), SystemClock(), Random(1))
    async with server, running(carrier, collector):
        await told(carrier)
    assert carrier.links()[0].last_error == "the bind was refused: ESME_RUNKNOWNERR"


@pytest.mark.slow
async def test_the_time_between_connections_is_kept_by_all_binds_together(
    collector: Collector, clock: FakeClock
) -> None:
    async with running_smsc() as (smsc, port):
        carrier = SmppCarrier(
            settings(port, binds=2, bind_type="transmitter+receiver", reconnect_min=30.0), clock, Random(1)
        )
        async with running(carrier, collector):
            began = clock.now()
            at: list[float] = []
            while len(at) < 4:
                clock.advance(1.0)
                await asyncio.sleep(0.005)
                at += [clock.now() - began] * (smsc.counters["binds"] - len(at))
    assert [round(later - earlier) >= 28 for earlier, later in itertools.pairwise(at)] == [True] * 3


class WatchedClock(FakeClock):
    """Knows until when somebody rests. Move it a little further than that: numbers as large as its are rounded."""

    def __init__(self) -> None:
        super().__init__()
        self.until: float | None = None

    async def rest(self, wake: asyncio.Event, until: float | None) -> None:
        self.until = until if until is not None else self.until
        await super().rest(wake, until)


class Always(Random):
    """Draws the same number for ever."""

    def __init__(self, drawn: float) -> None:
        super().__init__()
        self._drawn = drawn

    def random(self) -> float:
        return self._drawn


@pytest.mark.parametrize(("drawn", "factor"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
async def test_waits_double_are_spread_and_begin_again_after_a_minute(
    drawn: float, factor: float, collector: Collector
) -> None:
    clock, waits = WatchedClock(), []
    async with running_smsc() as (smsc, port):
        carrier = SmppCarrier(settings(port), clock, Always(drawn))
        async with running(carrier, collector), asyncio.timeout(10):
            for held in (0.0, 0.0, 0.0, 61.0, 0.0):
                while carrier.links()[0].state != "BOUND_TRX":
                    await asyncio.sleep(0.001)
                clock.advance(held)
                smsc.disconnect()
                while carrier.links()[0].state != "CLOSED":
                    await asyncio.sleep(0.001)
                await turns()  # until the link rests
                assert clock.until is not None
                waits.append(clock.until - clock.now())
                clock.advance(waits[-1] + 0.001)
    assert waits == pytest.approx([factor * nominal for nominal in (1, 2, 4, 1, 2)])


async def test_refused_binds_wait_longer_each_time_until_one_succeeds(collector: Collector) -> None:
    clock, waits = WatchedClock(), []
    async with running_smsc(refuse_bind=0x0E) as (smsc, port):
        carrier = SmppCarrier(settings(port), clock, Always(1.0))

        async def closed(refusals: int) -> float:
            while smsc.counters["bind_refusals"] < refusals or carrier.links()[0].state != "CLOSED":
                await asyncio.sleep(0.001)
            await turns()  # until the link rests
            assert clock.until is not None
            return clock.until - clock.now()

        async with running(carrier, collector), asyncio.timeout(10):
            for refusals in (1, 2, 3):
                waits.append(await closed(refusals))
                smsc.options.refuse_bind = 0 if refusals == 3 else 0x0E
                clock.advance(waits[-1] + 0.001)
            while carrier.links()[0].state != "BOUND_TRX":
                await asyncio.sleep(0.001)
            smsc.options.refuse_bind = 0x0E
            smsc.disconnect()
            clock.advance(await closed(3) + 0.001)
            waits.append(await closed(4))
    assert waits == pytest.approx([1.2 * nominal for nominal in (30, 60, 120, 30)])


async def test_a_refused_bind_that_is_left_and_taken_again_waits_all_the_same(
    collector: Collector, clock: FakeClock
) -> None:
    async with running_smsc(refuse_bind=0x0E) as (smsc, port):
        carrier = SmppCarrier(settings(port), clock, Always(0.0))
        async with running(carrier, collector):
            await told(carrier)
            carrier.hold(frozenset())
            async with asyncio.timeout(10):
                while carrier.used:
                    await asyncio.sleep(0.001)
            carrier.hold(frozenset({0}))
            clock.advance(29.0)
            await asyncio.sleep(0.05)
            assert carrier.links()[0].connections == 1
            clock.advance(1.001)
            async with asyncio.timeout(10):
                while smsc.counters["bind_refusals"] < 2:
                    await asyncio.sleep(0.001)


async def test_after_the_carriers_own_unbind_it_is_back_in_a_second(collector: Collector) -> None:
    clock = WatchedClock()
    async with running_smsc() as (smsc, port):
        carrier = SmppCarrier(settings(port), clock, Always(0.0))
        async with running(carrier, collector), asyncio.timeout(10):
            while carrier.links()[0].state != "BOUND_TRX":
                await asyncio.sleep(0.001)
            smsc.unbind()
            while carrier.links()[0].last_error is None:
                await asyncio.sleep(0.001)
            assert clock.until is not None
            assert clock.until - clock.now() == pytest.approx(1.0)
