"""The official Python client, pointed at a platform of ours; nothing of it is changed."""

import contextlib
from collections.abc import Iterator

import bandwidth

ACCOUNT = "5500123"


@contextlib.contextmanager
def messages_api(base: str, *, user: str = "demo", password: str = "demo") -> Iterator[bandwidth.MessagesApi]:
    """Give the client's API of messages; ``base`` ends in ``/api/v2``."""
    configuration = bandwidth.Configuration(host=base, ignore_operation_servers=True, username=user, password=password)
    with bandwidth.ApiClient(configuration) as client:
        yield bandwidth.MessagesApi(client)
        client.rest_client.pool_manager.clear()  # it leaves its connections open otherwise
