"""An SMSC made of smpp34's server (Rust), as a program; takes the same lines, and prints the same, as node/smsc.js.

Its arguments are the port to listen on and, where it is to speak TLS, a file with certificate and key. smpp34's server
has no TLS, so this program ends it before the server. Nor does that server look at user names or passwords.
"""

import asyncio
import contextlib
import json
import ssl
import sys
from typing import Any

import smpp34
from smpplib.gsm import GSM_CHARACTER_TABLE

RTHROTTLED = 0x58


def tell(event: str, **fields: Any) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def text_of(octets: bytes, coding: int) -> str:
    if coding == 8:
        return octets.decode("utf-16-be")
    septets = iter(octets)
    return "".join(GSM_CHARACTER_TABLE[next(septets) + 0x80 if septet == 0x1B else septet] for septet in septets)


class NativeSmsc:
    """Accepts, sends receipts, and does what it is told on its standard input."""

    def __init__(self, server: smpp34.Server) -> None:
        self._server = server
        self._esme: Any = None
        self._ids = 0
        self._throttled = 0
        self._tasks: set[asyncio.Future[None]] = set()

    async def run(self) -> None:
        while True:
            event = await self._server.next()
            if isinstance(event, smpp34.Esme):
                self._esme = event
                tell("bound", systemId=event.system_id)
            elif isinstance(event, smpp34.Unbound):
                tell("unbound")
            elif self._throttled:
                self._throttled -= 1
                event.reject(RTHROTTLED)
                tell("throttled")
            else:
                self._take(event)

    def _take(self, event: smpp34.SubmitSmEvent) -> None:
        self._ids += 1
        event.accept(f"{self._ids:08X}")
        octets = event.short_message
        header = octets[: octets[0] + 1] if event.esm_class & 0x40 else b""
        tell(
            "submit",
            **{"from": event.source_addr, "to": event.destination_addr, "coding": event.data_coding},
            text=text_of(octets[len(header) :], event.data_coding),
            udh=header.hex(),
        )
        said = f"id:{self._ids:08x} sub:001 dlvrd:001 submit date:2603140159 done date:2603140200 stat:DELIVRD err:000"
        self._deliver(event.destination_addr, event.source_addr, said.encode(), esm_class=4)

    def _deliver(self, sender: str, to: str, octets: bytes, **fields: int) -> None:
        async def deliver() -> None:
            places = {"source_addr_ton": 1, "source_addr_npi": 1, "dest_addr_ton": 1, "dest_addr_npi": 1}
            answer = await self._esme.deliver_sm(to, octets, source_addr=sender, **places, **fields)
            tell("acknowledged", status=answer.command_status)

        self._start(deliver())

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def told(self, command: dict[str, Any]) -> None:
        if "throttle" in command:
            self._throttled = command["throttle"]
        elif command.get("unbind"):
            self._start(self._esme.unbind())
        else:
            header = bytes.fromhex(command.get("udh", ""))
            octets = header + command["text"].encode("utf-16-be" if command["coding"] == 8 else "ascii")
            fields = {"esm_class": 0x40 if header else 0, "data_coding": command["coding"]}
            self._deliver(command["from"], command["to"], octets, **fields)


async def encrypted(certificate: str, port: int) -> int:
    """Listen with TLS before the server; return the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while octets := await reader.read(65536):
                writer.write(octets)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, back), pump(there, writer))

    relay = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    bound: int = relay.sockets[0].getsockname()[1]
    return bound


async def main(port: int, certificate: str | None) -> None:
    server = smpp34.Server("127.0.0.1", port, system_id="native")
    await server.start()
    smsc = NativeSmsc(server)
    work = asyncio.get_running_loop().create_task(smsc.run())
    tell("listening", port=port if certificate is None else await encrypted(certificate, port))
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        smsc.told(json.loads(line))
    work.cancel()
    await server.stop()


asyncio.run(main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))
