"""The front desk of a restaurant: tells guests that their table is ready, and answers what they write back.

An application in standard library only, to show what one has to do: send, receive callbacks, answer quickly, drop what
it knows already. In two terminals:

    passband dev --callback-url http://127.0.0.1:8090/
    python examples/front_desk.py

Then type a number and a text:

    +14085550142 Your table is ready
"""

import argparse
import base64
import http.server
import json
import queue
import sys
import threading
import urllib.error
import urllib.request
from typing import Any

OURS = "+19195550117"


class Api:
    """The messages of one account."""

    def __init__(self, base: str, account: str, application: str, user: str, password: str) -> None:
        self._url = f"{base}/users/{account}/messages"
        self._application = application
        self._authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def send(self, to: str, text: str, tag: str = "") -> str:
        """Send a message; return its id, by which its events are known. It is stored then, not delivered."""
        body = {"to": [to], "from": OURS, "text": text, "applicationId": self._application, "tag": tag}
        request = urllib.request.Request(  # noqa: S310  (the base is the developer's own)
            self._url,
            json.dumps(body).encode(),
            {"Authorization": self._authorization, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            message_id: str = json.load(response)["id"]
            return message_id


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes callbacks: keeps the event, answers, and leaves the work to somebody else."""

    protocol_version = "HTTP/1.1"  # the platform keeps its connection for the next event
    events: "queue.Queue[dict[str, Any]]" = queue.Queue()

    def do_POST(self) -> None:
        for event in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
            self.events.put(event)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the base class's)
        """Say nothing of each request; what it brought is told below."""


def work(api: Api) -> None:
    """Deal with events, one after the other."""
    known: set[tuple[str, str, str]] = set()  # a real application keeps these for a day, in its database
    while True:
        event = Receiver.events.get()
        message = event["message"]
        key = (message["id"], event["type"], event["to"])
        if key in known:
            continue
        known.add(key)
        if event["type"] == "message-received":
            print(f"{message['from']} wrote: {message['text']}", flush=True)
            api.send(message["from"], "Thank you. We have told the waiter.", tag="answer")
        elif event["type"] == "message-failed":
            print(f"not delivered to {event['to']}: {event['errorCode']} {event['description']}", flush=True)
        elif event["type"] == "message-delivered":
            print(f"delivered to {event['to']} ({message['tag']})", flush=True)


def main() -> None:
    """Take callbacks, and send what is typed: a number, a space, a text."""
    parser = argparse.ArgumentParser(description="The front desk of a restaurant.")
    parser.add_argument("--port", type=int, default=8090, help="where callbacks come in")
    parser.add_argument("--api", default="http://127.0.0.1:8080/api/v2", help="base URL, as passband dev prints it")
    parser.add_argument("--account", default="5500123")
    parser.add_argument("--application", default="b7c4d2f0-5c1e-4a53-9d0e-3f6a8e2b1c74")
    parser.add_argument("--user", default="demo")
    parser.add_argument("--password", default="demo")
    options = parser.parse_args()
    api = Api(options.api, options.account, options.application, options.user, options.password)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Receiver)
    for target in (server.serve_forever, lambda: work(api)):
        threading.Thread(target=target, daemon=True).start()
    print(f"callbacks come in at http://127.0.0.1:{server.server_port}/", flush=True)
    for line in sys.stdin:
        to, _, text = line.strip().partition(" ")
        try:
            print(f"sent {api.send(to, text, tag='table')} to {to}", flush=True)
        except urllib.error.HTTPError as error:
            print(f"refused: {error.read().decode()}", flush=True)


if __name__ == "__main__":
    main()
