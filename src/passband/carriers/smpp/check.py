"""Can this carrier be reached, and does it take our bind? Asked before anything depends on it."""

import asyncio

from passband.carriers.smpp.link import BINDS, bind_pdu, tls_context
from passband.carriers.smpp.settings import SmppSettings
from passband.clock import Clock
from passband.smpp.outcome import bind_verdict
from passband.smpp.pdu import Bind
from passband.smpp.session import Session
from passband.smpp.session_events import Bound, Closed, CloseReason
from passband.smpp.session_states import Role


async def check(settings: SmppSettings, clock: Clock) -> list[str]:
    """Bind to every host as the carrier would, and unbind; return what is wrong, one line each."""
    faults = []
    for host, port in settings.hosts:
        for command in BINDS[settings.bind_type]:
            try:
                async with asyncio.timeout(settings.connect_timeout + settings.bind_timeout + settings.unbind_timeout):
                    fault = await _bind(settings, clock, host, port, command)
            except TimeoutError:
                fault = "no answer"
            except OSError as error:
                fault = str(error)
            if fault is not None:
                faults.append(f"{host}:{port}: {command.name}: {fault}")
    return faults


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
