"""Commands as a user runs them: real processes, and their lines as they come.

Rule: a test waits for a line, an answer or an exit, never for time to pass.
"""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from ports import free_port

SECONDS = 30.0  # a start takes half a second; the rest is for a machine that is busy


class Ended(NamedTuple):
    """A command that has run to its end."""

    status: int
    out: str
    err: str

    @property
    def printed(self) -> str:
        return self.out + self.err


PASSBAND = (str(Path(sys.executable).with_name("passband")),)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    # A wide terminal, so that no line is broken; nothing of the developer's own settings; and output as it comes into a
    # pipe from a program that does not flush, so that a line which is waited for proves that it was flushed.
    own = {name: value for name, value in os.environ.items() if not name.startswith("PASSBAND_")}
    own.pop("PYTHONUNBUFFERED", None)
    return {**own, "COLUMNS": "300", **more}


def run(*arguments: str, seconds: float = SECONDS, **environment: str) -> Ended:
    """Run ``passband`` with these arguments to its end."""
    done = subprocess.run(
        [*PASSBAND, *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        env=_environment(environment),
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


class Command:
    """``passband``, or another program, with these arguments as long as the block lasts; then it is told to end.

    ``lines`` are those of standard output and standard error together, in the order in which they came.
    """

    def __init__(self, *arguments: str, program: Sequence[str] = PASSBAND, **environment: str) -> None:
        self._command = [*program, *arguments]
        self._environment = environment
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._over = False

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_environment(self._environment),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self.end()
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait(SECONDS)
            self._reader.join(SECONDS)
            assert self._process.stdout
            self._process.stdout.close()
            assert self._process.stdin
            self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def over(self) -> bool:
        return self._process.poll() is not None

    @property
    def printed(self) -> str:
        return "\n".join(self.lines)

    def line(self, pattern: str, count: int = 1, seconds: float = SECONDS) -> re.Match[str]:
        """Return the match of the ``count``-th line in which ``pattern`` is found, as soon as it is there."""
        found: list[re.Match[str]] = []

        def there() -> bool:
            found[:] = [match for line in self.lines if (match := re.search(pattern, line))]
            return len(found) >= count or self._over

        with self._changed:
            self._changed.wait_for(there, seconds)
        assert len(found) >= count, f"{len(found)} of {count} lines have {pattern!r} after {seconds} s:\n{self.printed}"
        return found[count - 1]

    def write(self, line: str) -> None:
        """Give it a line on its standard input."""
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def end(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, unless it has ended; return the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(with_signal)
        return self.wait()

    def wait(self) -> int:
        """Return the exit status, once there is one and all lines are read."""
        status = self._process.wait(SECONDS)
        self._reader.join(SECONDS)
        return status


class Answer(NamedTuple):
    status: int
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(url: str, body: object = None, *, headers: Mapping[str, str] | None = None, context: Any = None) -> Answer:
    """Return the answer to a GET, or with ``body`` to a POST of it as JSON; whatever the status."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS, context=context) as response:
            return Answer(response.status, response.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read().decode())


class Dev(Command):
    """``passband dev`` on a free port, once it accepts messages."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        super().__init__("dev", "--port", str(free_port()), *arguments, **environment)

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self.api = self.line(r"base URL +(http://\S+)")[1]
            self.line("Ctrl-C ends")
        except BaseException:
            self.__exit__()
            raise
        self.base = self.api.removesuffix("/api/v2")
        return self

    def inbound(self, **message: object) -> None:
        """Let a handset send ``from`` (written ``from_``), ``to``, ``text`` and ``media``."""
        body = {name.rstrip("_"): value for name, value in message.items()}
        answer = ask(f"{self.base}/admin/inbound", body)
        assert answer.status == 202, answer


class Listen(Command):
    """``passband listen`` on a free port, once it listens."""

    def __init__(self, *arguments: str) -> None:
        super().__init__("listen", "--port", "0", *arguments)

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self.url = self.line(r"listening on (http://\S+)")[1]
        except BaseException:
            self.__exit__()
            raise
        return self


class Smsc(Command):
    """``passband smsc`` on a free port, with its control endpoint, once it can be bound to."""

    def __init__(self, *arguments: str) -> None:
        super().__init__("smsc", "--port", "0", "--control", "0", *arguments)

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            found = self.line(r"SMPP on (\S+), control on (http://\S+)")
        except BaseException:
            self.__exit__()
            raise
        self.address, self.control = found[1], found[2]
        return self

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """Give a port that nobody else is given meanwhile, and that a process can listen on.

    It is bound and never listened on, which Linux lets others share that also ask for sharing, as listeners do.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        yield port


APPLICATION = "7d0c6a1e-52b4-4f5e-9a57-0f3a3c9f6b21"
OURS, THEIRS = "+19195550117", "+14085550142"

_CONFIGURATION = f"""
[server]
listen = "127.0.0.1:{{port}}"
{{server}}
[admin]
listen = "127.0.0.1:{{admin}}"
[callbacks]
allow_private_networks = true
{{callbacks}}
[[carriers]]
name = "simulator"
type = "simulator"
[[accounts]]
id = "5500123"
users = [{{{{ name = "demo", password = "demo" }}}}]
[[accounts.applications]]
id = "{APPLICATION}"
callback_url = "{{url}}"
{{application}}
[[accounts.numbers]]
number = "{OURS}"
application = "{APPLICATION}"
"""


def configuration(
    folder: Path,
    *,
    port: int = 0,
    admin: int = 0,
    url: str = "http://127.0.0.1:9/",
    server: str = "",
    callbacks: str = "",
    application: str = "",
) -> Path:
    """Write a configuration with one account, one application and one number; return its path."""
    path = folder / "passband.toml"
    path.write_text(
        _CONFIGURATION.format(
            port=port, admin=admin, url=url, server=server, callbacks=callbacks, application=application
        ),
        "utf-8",
    )
    return path


class Serve(Command):
    """``passband serve`` with a configuration, once it accepts messages."""

    def __init__(self, config: Path, *arguments: str, **environment: str) -> None:
        super().__init__("serve", "--config", str(config), *arguments, **environment)

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            server, admin = self.ready(1)
        except BaseException:
            self.__exit__()
            raise
        self.api = f"http://{server}/api/v2"
        self.admin = f"http://{admin}"
        return self

    def ready(self, count: int) -> tuple[str, str]:
        """Return the addresses of the HTTP API and of the admin API that the ``count``-th node to be ready tells."""
        addresses = json.loads(self.line(r'^\{.*"event": "ready".*\}$', count)[0])["listen"]
        return addresses[0], addresses[-1]  # they may share one
