"""What an application under test does, in standard library only."""

import base64
import json
import urllib.request

from passband.testing import Passband

THEIRS = "+14085550142"


def send(
    passband: Passband,
    text: str = "Your table is ready",
    to: str | list[str] = THEIRS,
    *,
    tag: str = "",
    password: str | None = None,
) -> str:
    """Send a message, and return its id. Raises HTTPError where it is refused."""
    body = {"applicationId": passband.application, "from": passband.number, "to": to, "text": text, "tag": tag}
    credentials = base64.b64encode(f"{passband.user}:{password or passband.password}".encode()).decode()
    request = urllib.request.Request(
        f"{passband.base_url}/users/{passband.account}/messages",
        json.dumps(body).encode(),
        {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        id_: str = json.load(response)["id"]
        return id_
