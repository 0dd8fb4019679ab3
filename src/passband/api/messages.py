"""Creating messages: the endpoint that everything else exists for, as plain ASGI.

It reads, hands on and answers; what is right is decided in ``wire``, what is accepted in the function handed in.
"""

from collections.abc import Awaitable, Callable

from passband.api.asgi import JSON, Receive, Scope, Send, answer, header, read_body
from passband.domain.account import Account
from passband.domain.errors import UnsupportedContentType
from passband.domain.message import Message, NewMessage
from passband.wire import created_body, decode_new_message

Accept = Callable[[Account, NewMessage], Awaitable[Message]]


class CreateMessage:
    """``POST /users/{accountId}/messages`` (HTTP API, section 2).

    ``accept`` returns when the message is durable; only then is 202 answered. It raises QueueFull and StoreUnavailable.
    """

    def __init__(self, accept: Accept, now: Callable[[], float]) -> None:
        self._accept = accept
        self._now = now

    async def __call__(self, account: Account, rest: str, scope: Scope, receive: Receive, send: Send) -> None:
        check_content_type(scope)
        request = decode_new_message(await read_body(receive), self._now())
        message = await self._accept(account, request)
        await answer(send, 202, (JSON,), created_body(message, request))


def check_content_type(scope: Scope) -> None:
    """Raise UnsupportedContentType unless the body is announced as JSON, with whatever parameters."""
    received = header(scope, b"content-type") or b""
    if received != b"application/json" and received.partition(b";")[0].strip().lower() != b"application/json":
        raise UnsupportedContentType(received.decode("latin-1"))
