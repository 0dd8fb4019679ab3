"""Kannel: bearerbox and smsbox, queues and receipts in memory, nothing stored (Debian: apt-get install kannel)."""

import contextlib
import shutil
import urllib.parse
from collections.abc import AsyncIterator
from pathlib import Path

from beside.load import Dialect, number_in_path, request, response
from beside.processes import Gateway, Missing, free_ports, program

_CONFIGURATION = """
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = bench
smsbox-port = {box}
smsbox-interface = 127.0.0.1
smsbox-max-pending = 1000
box-allow-ip = 127.0.0.1
dlr-storage = internal
log-level = 4

group = smsc
smsc = smpp
smsc-id = bench
host = 127.0.0.1
port = {smsc}
transceiver-mode = true
smsc-username = bench
smsc-password = bench
system-type = ""
max-pending-submits = 100
source-addr-ton = 1
source-addr-npi = 1
dest-addr-ton = 1
dest-addr-npi = 1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {api}
sendsms-interface = 127.0.0.1
max-pending-requests = 1000
log-level = 4

group = sendsms-user
username = bench
password = bench
max-messages = 10
"""
_DELIVERED_OR_FAILED = 3
_COMMANDS, _PLACES = ("bearerbox", "smsbox"), "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


def _request(n: int, endpoint: int) -> bytes:
    query = urllib.parse.urlencode(
        {
            "username": "bench",
            "password": "bench",
            "from": "19195550117",
            "to": f"1408777{n % 10000:04}",
            "text": f"Your table for {n % 7 + 1} is ready, see you soon at the desk",
            "dlr-mask": _DELIVERED_OR_FAILED,
            "dlr-url": f"http://127.0.0.1:{endpoint}/{n}",
        }
    )
    return request("GET", f"/cgi-bin/sendsms?{query}")


DIALECT = Dialect(_request, 202, number_in_path, response())


@contextlib.asynccontextmanager
async def running(folder: Path, smsc: int, endpoint: int) -> AsyncIterator[Gateway]:
    """Run it with this carrier; yield it. Raises Missing."""
    commands = [shutil.which(name, path=_PLACES) for name in _COMMANDS]
    if not all(commands):
        raise Missing("apt-get install kannel")
    admin, box, api = free_ports(3)
    file = folder / "kannel.conf"
    file.write_text(_CONFIGURATION.format(admin=admin, box=box, api=api, smsc=smsc))
    bearerbox, smsbox = (str(command) for command in commands)
    box_running = program(folder, bearerbox, file, listens=box)
    async with box_running as first, program(folder, smsbox, file, listens=api) as second:
        yield Gateway(api, [first, second])
