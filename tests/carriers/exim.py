"""Exim, a mail server that we did not write, as the MMSC of a peer: it keeps mails for the peer, and relays to us."""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import trustme

from carriers.mm4_peer import DOMAIN, PEER_DOMAIN
from real_parts import command

CONFIGURATION = """
primary_hostname = mx.{peer_domain}
exim_user = {user}
exim_group = {group}
deliver_drop_privilege = true
spool_directory = {folder}/spool
log_file_path = {folder}/log-%slog
pid_file_path = {folder}/pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
acl_smtp_rcpt = anything
acl_smtp_data = anything
accept_8bitmime = false
tls_advertise_hosts = *
tls_certificate = {folder}/chain.pem
tls_privatekey = {folder}/key.pem
tls_require_ciphers = NORMAL
ignore_bounce_errors_after = 0s
keep_environment =
add_environment = PATH=/usr/bin

begin acl
anything:
  accept

begin routers
to_us:
  driver = manualroute
  domains = {domain}
  route_list = * 127.0.0.1::{our_port}
  self = send
  transport = relay
kept:
  driver = accept
  transport = maildir

begin transports
relay:
  driver = smtp
  allow_localhost
  hosts_require_tls = *
  tls_verify_certificates = {folder}/ca.pem
  tls_verify_hosts = *
  tls_verify_cert_hostnames =
maildir:
  driver = appendfile
  user = {user}
  group = {group}
  directory = {folder}/mailbox
  maildir_format
  create_directory
  batch_max = 100

begin retry
* * F,1h,1m
"""


class Exim:
    """A running server, listening at ``port``. ``ca`` the authority of its certificate."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self._configuration = folder / "exim.conf"
        self._mailbox = folder / "mailbox" / "new"

    async def kept(self, count: int) -> list[bytes]:
        """Return the mails for the peer's own addresses, the oldest first, once there are so many."""
        async with asyncio.timeout(20):
            while not self._mailbox.is_dir() or len(found := list(self._mailbox.iterdir())) < count:
                await asyncio.sleep(0.02)
        return [path.read_bytes() for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)]

    async def run_queue(self) -> None:
        """Let it try again now what could not be delivered, and return when it has."""
        await asyncio.to_thread(self._run, "-qff")

    async def queued(self) -> int:
        """Return how many mails it still has to deliver."""
        return int(await asyncio.to_thread(self._run, "-bpc"))

    def _run(self, option: str) -> bytes:
        arguments = [command("exim4"), "-C", str(self._configuration), option]
        return subprocess.run(arguments, check=True, capture_output=True, timeout=30).stdout


@contextmanager
def a_folder() -> Iterator[Path]:
    """Give a folder that belongs to whom Exim runs as: not to root, as whom it delivers nothing."""
    folder = Path(tempfile.mkdtemp(prefix="exim-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@asynccontextmanager
async def an_exim(our_port: int, port: int, tls: Path) -> AsyncIterator[Exim]:
    """Run Exim at ``port``; mails for our domain go to ``our_port``, under TLS, all others into its mailbox.

    ``tls`` is the folder of what ``certificates`` wrote, with which we serve too.
    """
    program = command("exim4")
    with a_folder() as folder:
        server = Exim(folder, port)
        account = pwd.getpwnam("Debian-exim") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        (folder / "exim.conf").write_text(
            CONFIGURATION.format(
                folder=folder,
                user=account.pw_uid,
                group=account.pw_gid,
                port=port,
                our_port=our_port,
                domain=DOMAIN,
                peer_domain=PEER_DOMAIN,
            )
        )
        for name in ("ca.pem", "chain.pem", "key.pem"):
            shutil.copy(tls / name, folder)
        if os.getuid() == 0:
            for path in (folder, *folder.iterdir()):
                os.chown(path, account.pw_uid, account.pw_gid)
            os.chown(folder / "exim.conf", 0, 0)
        process = await asyncio.create_subprocess_exec(program, "-C", str(folder / "exim.conf"), "-bdf")
        try:
            await _listening(process, port)
            yield server
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def certificates(folder: Path) -> None:
    """Write what both sides need for TLS: ca.pem, chain.pem and key.pem."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(folder / "chain.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    authority.cert_pem.write_to_path(folder / "ca.pem")


async def _listening(process: "asyncio.subprocess.Process", port: int) -> None:
    async with asyncio.timeout(20):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
    raise AssertionError("Exim did not start")
