"""The same for a FastAPI application: delivery reports, groups, pictures, and an account that is over its rate.

It has two addresses for events, as many applications do. The first steps are in ../reminders/test_reminders.py.

    pip install . pytest fastapi httpx bandwidth-sdk
    pytest examples/orders
"""

from typing import Any

import pytest
import requests
from orders import create_app

from passband.testing import PICTURE, Passband

CUSTOMER, FRIEND = "+14085550142", "+14085550177"


class Shop:
    """The shop's own program, which talks to the application over HTTP."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ship(self, number: int = 1042, **order: Any) -> requests.Response:
        body = {"number": number, "customer": CUSTOMER, **order}
        return requests.post(f"{self._url}/shipments", json=body, timeout=5)

    def look(self, number: int = 1042) -> Any:
        return requests.get(f"{self._url}/shipments/{number}", timeout=5).json()


@pytest.fixture
def shop(passband: Passband) -> Shop:
    """The application: whatever comes in goes to one path, what became of its own messages to another."""
    return Shop(passband.serve(create_app(passband.base_url), callbacks="/events/received", status="/events/status"))


def test_a_customer_was_told_once_the_message_is_delivered(passband: Passband, shop: Shop) -> None:
    passband.fault("link-down")
    shop.ship()
    assert shop.look()["told"] == {CUSTOMER: "sent"}, "stored, and no more than that"
    passband.mend()
    passband.wait_for_callbacks("message-delivered", to=CUSTOMER)
    assert shop.look()["told"] == {CUSTOMER: "delivered"}


def test_in_a_group_one_may_be_reached_and_another_not(passband: Passband, shop: Shop) -> None:
    passband.fail_next(4720, to=FRIEND)
    shop.ship(also_tell=[FRIEND])
    [message] = passband.wait_for(to=FRIEND)
    assert message.to == (CUSTOMER, FRIEND)
    passband.settle()
    assert shop.look()["told"] == {CUSTOMER: "delivered", FRIEND: "failed: invalid-destination-address"}


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Where is 1042?", "Order 1042 left on Monday"),
        ("Where is my parcel?", "Please send the number"),
        ("1043", "Please send the number"),
    ],
)
def test_a_customer_asks(passband: Passband, shop: Shop, question: str, answer: str) -> None:
    shop.ship()
    passband.receive(question, sender=CUSTOMER)
    [message] = passband.wait_for(to=CUSTOMER, text=answer)
    assert message.text.startswith(answer)


def test_a_picture_of_damage_is_kept(passband: Passband, shop: Shop) -> None:
    shop.ship()
    passband.receive("Look at this", sender=CUSTOMER, media=[PICTURE])
    passband.wait_for(text="Thank you for the picture")
    assert shop.look()["pictures"] == 1


class TestOverItsRate:
    @pytest.fixture
    def passband_options(self) -> dict[str, Any]:
        """An account that may send a segment every hundred seconds: its queue holds nine."""
        return {"rate": 0.01}

    def test_the_shop_is_asked_to_come_back(self, shop: Shop) -> None:
        answers = [shop.ship(number) for number in range(1, 14)]
        assert answers[0].status_code == 201
        assert answers[-1].status_code == 503
        assert answers[-1].headers["Retry-After"] == "60"
