"""The simulated carrier as an SMPP server, for tests of Passband and of everything else that speaks SMPP.

options      what it does, and does wrong
server       connections, segments, deliveries
deliveries   receipts and inbound messages as octets
control      its HTTP endpoint: counters, inbound messages, cuts, settings
"""

import asyncio
from collections.abc import Callable, Mapping

from passband.clock import Clock, SystemClock
from passband.smsc.control import Control
from passband.smsc.options import SmscOptions
from passband.smsc.server import Smsc

__all__ = ["Smsc", "SmscOptions", "serve"]


async def serve(
    options: SmscOptions,
    ready: Callable[[int, int | None], None],
    clock: Clock | None = None,
    finished: Callable[[Mapping[str, int]], None] = lambda counters: None,
) -> None:
    """Run a simulated carrier until cancelled.

    ``ready`` is told its port and that of the control endpoint (None where there is none), ``finished`` at the end what
    has happened. Raises OSError where an address cannot be had.
    """
    smsc = Smsc(options, clock or SystemClock())
    control = Control(smsc)
    port = await smsc.start()
    control_port = None
    try:
        if options.control is not None:
            control_port = await control.start(*options.control)
        ready(port, control_port)
        await asyncio.Event().wait()
    finally:
        if control_port is not None:
            await control.stop()
        finished(smsc.counters)
        await smsc.stop()
