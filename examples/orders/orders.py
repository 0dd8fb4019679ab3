"""Order status by text: a parcel is on its way, a customer asks where it is, or sends a picture of damage.

A FastAPI application that uses the official client, for messages and for pictures. It waits for the delivery report
before it says that a customer was told, and it copes with a queue that is full. How it is tested: test_orders.py.

Try it by hand, in two terminals:

    passband dev --callback-url http://127.0.0.1:8000/events/received
    uvicorn --factory orders:create_app
"""

import re
from dataclasses import dataclass, field
from typing import Any

import bandwidth
from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel

ACCOUNT = "5500123"
APPLICATION = "b7c4d2f0-5c1e-4a53-9d0e-3f6a8e2b1c74"
OUR_NUMBER = "+19195550117"


class Order(BaseModel):
    """What the shop tells us of an order."""

    number: int
    customer: str
    also_tell: list[str] = []


@dataclass
class Shipment:
    order: Order
    told: dict[str, str] = field(default_factory=dict)  # each recipient, and what became of the message
    pictures: list[bytes] = field(default_factory=list)


def create_app(base_url: str = "http://127.0.0.1:8080/api/v2", user: str = "demo", password: str = "demo") -> FastAPI:  # noqa: S107
    """Return the application. ``base_url`` is where messages are sent; the defaults fit `passband dev`."""
    app = FastAPI()
    client = bandwidth.ApiClient(
        bandwidth.Configuration(host=base_url, ignore_operation_servers=True, username=user, password=password)
    )
    messages, media = bandwidth.MessagesApi(client), bandwidth.MediaApi(client)
    shipments: dict[int, Shipment] = {}  # a real application has a database

    def text(to: list[str], words: str, tag: str = "") -> None:
        """Send a message; to several recipients it is a group, who see each other."""
        body = {"applicationId": APPLICATION, "from": OUR_NUMBER, "to": to, "text": words, "tag": tag}
        messages.create_message(ACCOUNT, bandwidth.MessageRequest.from_dict(body))

    @app.post("/shipments", status_code=201)
    def ship(order: Order) -> dict[str, Any]:
        everybody = [order.customer, *order.also_tell]
        try:
            text(everybody, f"Your order {order.number} is on its way.", tag=str(order.number))
        except bandwidth.ApiException as error:
            if error.status == 429:  # the queue of the account is full: nothing is wrong, it is only too early
                raise HTTPException(503, "too many messages, please try again", {"Retry-After": "60"}) from error
            raise
        shipments[order.number] = Shipment(order, dict.fromkeys(everybody, "sent"))
        return {"told": shipments[order.number].told}

    @app.get("/shipments/{number}")
    def show(number: int) -> dict[str, Any]:
        return {"told": shipments[number].told, "pictures": len(shipments[number].pictures)}

    @app.post("/events/status")
    def report(events: list[dict[str, Any]]) -> Response:
        """Each recipient of a message gets one of these: delivered or failed. Twice is the same as once."""
        for event in events:
            shipment = shipments.get(int(event["message"]["tag"] or 0))
            if shipment is not None:
                failed = event["type"] == "message-failed"
                shipment.told[event["to"]] = f"failed: {event['description']}" if failed else "delivered"
        return Response(status_code=204)

    @app.post("/events/received")
    def receive(events: list[dict[str, Any]]) -> Response:
        """Take what customers write: a number asks for that order, a picture is a complaint."""
        for event in events:
            message = event["message"]
            theirs = [s for s in shipments.values() if s.order.customer == message["from"]]
            asked = re.search(r"\d+", message["text"])
            if message.get("media") and theirs:
                theirs[-1].pictures += [picture(url) for url in message["media"]]
                text([message["from"]], "We are sorry. Thank you for the picture; you will hear from us.")
            elif asked and any(one.order.number == int(asked[0]) for one in theirs):
                text([message["from"]], f"Order {asked[0]} left on Monday and arrives tomorrow.")
            else:
                text([message["from"]], "Please send the number of your order.")
        return Response(status_code=204)

    def picture(url: str) -> bytes:
        """Fetch a picture of a customer, which is kept for 48 hours: store it now."""
        return bytes(media.get_media(ACCOUNT, url.split("/media/")[1]))

    return app
