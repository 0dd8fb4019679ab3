"""One HTTP request at a time, as a command makes them. Rule: it knows addresses and answers, not what they mean.

http.client rather than urllib.request: that one would send our credentials through the environment's proxy, and follow
redirects.
"""

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from passband.domain.errors import PeerFault, RequestFault

TIMEOUT_SECONDS = 30.0


class BadUrl(RequestFault):
    """The URL is none that can be asked."""


class Unreachable(PeerFault):
    """Nobody answered."""


class Answer(msgspec.Struct, frozen=True):
    """What was answered; ``body`` is the JSON, or the text where it is none. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def retry_after(self) -> float | None:
        """Seconds after which to ask again, where the answer is "not now"."""
        if self.status not in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            return None
        seconds = self.headers.get("retry-after", "")
        return float(seconds) if seconds.isdecimal() else 1.0


class Site:
    """What is at a URL. Resource handling: every request has a connection of its own, closed with its answer."""

    def __init__(self, url: str, headers: Mapping[str, str], *, example: str, timeout: float = TIMEOUT_SECONDS) -> None:
        """``example`` is a URL as it should be, for who gave another. Raises BadUrl."""
        try:
            parts = urlsplit(url)
            self._connect = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}[parts.scheme]
            self._host, self._port = parts.hostname or "", parts.port
        except (KeyError, ValueError):
            raise BadUrl(f"{url!r} is not a URL like {example}") from None
        if not self._host:
            raise BadUrl(f"{url!r} names no host; it should be like {example}")
        self.url = url
        self._path = parts.path.rstrip("/")
        self._headers = headers
        self._timeout = timeout

    def ask(self, method: str, path: str, query: Mapping[str, str] | None = None, body: object = None) -> Answer:
        """Return the answer to one request; ``body`` is sent as JSON. Raises Unreachable where there is none."""
        # json rather than msgspec: a lone surrogate from the command line must be sent, to be refused by the platform.
        encoded = None if body is None else json.dumps(body).encode()
        with self._exchange(method, _with(path, query), encoded, {}, self._timeout) as response:
            content = response.read()
        return answer_of(response, content)

    @contextlib.contextmanager
    def stream(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str], silence: float
    ) -> Iterator[http.client.HTTPResponse]:
        """Give an answer that goes on and on, to be read within the block.

        Raises Unreachable where there is none, and within the block where it breaks, or nothing comes for ``silence``
        seconds.
        """
        with self._exchange("GET", _with(path, query), None, headers, silence) as response:
            yield response

    @contextlib.contextmanager
    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._connect(self._host, self._port, timeout=timeout)
        try:
            connection.request(method, self._path + path, body, {**self._headers, **headers})
            yield connection.getresponse()
        except ConnectionRefusedError as error:
            raise Unreachable(
                f"nobody listens at {self.url}: start it with `passband dev`, or say with --url where it is"
            ) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise Unreachable(f"{self.url} could not be reached: {error or type(error).__name__}") from error
        finally:
            connection.close()


def answer_of(response: http.client.HTTPResponse, content: bytes) -> Answer:
    """Return an answer whose body has been read."""
    headers = {name.lower(): value for name, value in response.getheaders()}
    try:
        body = json.loads(content)
    except ValueError:
        body = content.decode("utf-8", "replace")
    return Answer(response.status, headers, body)


def _with(path: str, query: Mapping[str, str] | None) -> str:
    return f"{path}?{urlencode(query)}" if query else path
