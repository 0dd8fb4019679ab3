"""Can this carrier be reached, and does it take our bind? Asked before anything depends on it."""

import asyncio

from passband.carriers.smpp.link import BINDS, bind_pdu, tls_context
from passband.carriers.smpp.settings import SmppSettings, shown
from passband.clock import Clock
from passband.smpp.outcome import bind_verdict
from passband.smpp.pdu import Bind
from passband.smpp.session import Session
from passband.smpp.session_events import Bound, Closed, CloseReason
from passband.smpp.session_states import Role

CHECK_SECONDS = 10.0  # for one host, whatever the carrier's own times: somebody sits and waits


async def check(settings: SmppSettings, clock: Clock) -> list[str]:
    """Bind to every host as the carrier would, and unbind; return what is wrong, one line each.

    All hosts are tried at the same time, each for ten seconds at most; its two binds, where it has two, one after the
    other, because a carrier that allows one session may take the second for one too many.
    """
    faults = await asyncio.gather(*(_check_host(settings, clock, host, port) for host, port in settings.hosts))
    return [fault for fault in faults if fault is not None]


async def _check_host(settings: SmppSettings, clock: Clock, host: str, port: int) -> str | None:
    fault: str | None = None
    command = BINDS[settings.bind_type][0]
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            for command in BINDS[settings.bind_type]:
                fault = await _bind(settings, clock, host, port, command)
                if fault is not None:
                    break
    except TimeoutError:
        fault = f"no answer within {CHECK_SECONDS:.0f} seconds"
    except (OSError, UnicodeError) as error:  # the last: a name that no look-up takes
        fault = str(error)
    return None if fault is None else f"{shown(host, port)}: {command.name}: {fault}"


async def _bind(settings: SmppSettings, clock: Clock, host: str, port: int, command: type[Bind]) -> str | None:
    context = tls_context(settings)
    name = (settings.tls_server_name or host) if context is not None else None
    reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
    try:
        session = Session(Role.CLIENT, clock.now(), timers=settings.timers, max_pdu=settings.max_pdu)
        session.bind(bind_pdu(settings, command), clock.now())
        bound = False
        while True:
            writer.write(session.data_to_send())
            data = await reader.read(65536)
            now = clock.now()
            for event in session.receive_data(data, now) if data else session.connection_lost():
                if isinstance(event, Bound):
                    bound = True
                    session.unbind(now)
                elif isinstance(event, Closed):
                    return None if bound else _fault(event)
    finally:
        writer.close()


def _fault(closed: Closed) -> str:
    if closed.reason is CloseReason.BIND_REFUSED:
        return f"{closed.reason}: {bind_verdict(closed.command_status).name} (0x{closed.command_status:02X})"
    return str(closed.reason)
