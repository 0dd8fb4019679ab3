"""What is configured where several nodes share a store: the file of each, and over it what either was told to set."""

import asyncio
from pathlib import Path

import pytest

from passband.admin.provisioning import APPLICATION, NUMBER, NotThere, Taken
from passband.config import Settings
from passband.config.layers import defaults, merge
from passband.config.reading import build
from passband.domain.rules import Rules
from passband.provisioning import Key, Provisioner, draw
from passband.store import Provision, Store
from store.nodes import Node, Stores

OURS, NEW = "+19195550117", "+19195550119"
FILE = {
    "carriers": [{"name": "simulator", "type": "simulator"}],
    "accounts": [
        {"id": "1", "applications": [{"id": "app"}], "numbers": [{"number": OURS, "application": "app"}]},
        {"id": "2"},
    ],
}


def settings(**tables: object) -> Settings:
    return build(merge(defaults(), FILE | tables), Path(), {})


def numbers_of(account: str, *numbers: str) -> dict[str, object]:
    return {"id": account, "numbers": [{"number": number} for number in numbers]}


class Configured(Provisioner):
    """What a node takes for configured."""

    def __init__(self, store: Store, file: Settings | None = None) -> None:
        self.rules = Rules(settings().directory())
        super().__init__(file or settings(), store, self.rules)

    def has(self) -> set[tuple[str, str]]:
        accounts = self.rules.directory.accounts.values()
        return {(account.id, name) for account in accounts for name in (*account.applications, *account.numbers)}


AS_IN_THE_FILE = {("1", "app"), ("1", OURS)}


async def test_what_one_node_was_told_the_other_knows_when_it_looks(node: Node, other: Node) -> None:
    one, two = Configured(node.store), Configured(other.store)
    await one.put_application("2", "new", {"callback_url": "http://app.example/"})
    await one.put_number("2", NEW, {"application": "new", "carrier": "simulator", "rate": 1.5})
    await one.remove("1", NUMBER, OURS, leave_file=False)
    assert two.has() == AS_IN_THE_FILE
    await two.look()
    assert two.has() == one.has() == {("1", "app"), ("2", "new"), ("2", NEW)}
    assert two.rules.directory.account("2") == one.rules.directory.account("2")
    assert (two.removed(NUMBER), two.is_set("2", NUMBER, NEW), two.is_set("1", APPLICATION, "app")) == (
        [("1", OURS)],
        True,
        False,
    )


async def test_who_is_told_something_knows_what_another_was_told_a_moment_before(node: Node, other: Node) -> None:
    one, two = Configured(node.store), Configured(other.store)
    await one.put_application("2", "new", {})
    await two.put_number("2", NEW, {"application": "new"})
    with pytest.raises(Taken, match=rf"application 'new' has numbers: \{NEW}; give them another one first"):
        await one.remove("2", APPLICATION, "new", leave_file=True)
    with pytest.raises(Taken, match=rf"number: '\{NEW}' is taken by account '2'"):
        await one.put_number("1", NEW, {})


async def test_of_changes_at_once_all_hold(node: Node, other: Node) -> None:
    nodes = Configured(node.store), Configured(other.store)
    numbers = [f"+1919555{n:04}" for n in range(200, 212)]
    await asyncio.gather(*(nodes[n % 2].put_number("1", number, {}) for n, number in enumerate(numbers)))
    for one in nodes:
        await one.look()
        assert one.has() == AS_IN_THE_FILE | {("1", number) for number in numbers}


async def test_of_two_accounts_that_want_a_number_at_once_one_gets_it(node: Node, other: Node) -> None:
    nodes = Configured(node.store), Configured(other.store)
    wants = (nodes[n].put_number(f"{n + 1}", NEW, {}) for n in range(2))
    ends = await asyncio.gather(*wants, return_exceptions=True)
    assert {type(end) for end in ends} == {Taken, tuple}


async def test_it_outlives_every_node(stores: Stores) -> None:
    await Configured((await stores.open()).store).put_number("2", NEW, {})
    await stores.close()
    again = Configured((await stores.open()).store)
    await again.look()
    assert again.has() == AS_IN_THE_FILE | {("2", NEW)}


async def test_the_file_that_gives_a_number_to_somebody_else_is_obeyed(node: Node) -> None:
    await Configured(node.store).put_number("2", NEW, {})
    later = Configured(node.store, settings(accounts=[numbers_of("1", NEW), {"id": "2"}]))
    await later.look()
    assert later.has() == {("1", NEW)}
    assert not later.is_set("2", NUMBER, NEW)


async def test_the_file_cannot_have_its_say_where_that_is_taken(node: Node) -> None:
    one = Configured(node.store)
    await one.remove("1", NUMBER, OURS, leave_file=False)
    await one.put_number("2", OURS, {})
    with pytest.raises(Taken, match="is taken by account '2'"):
        await one.remove("1", NUMBER, OURS, leave_file=True)
    await one.remove("2", NUMBER, OURS, leave_file=False)
    await one.remove("1", APPLICATION, "app", leave_file=False)
    with pytest.raises(Taken, match="the file gives it 'app', which was removed"):
        await one.remove("1", NUMBER, OURS, leave_file=True)
    await one.remove("1", APPLICATION, "app", leave_file=True)
    await one.remove("1", NUMBER, OURS, leave_file=True)
    assert one.has() == AS_IN_THE_FILE


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(Provision("9", NUMBER, NEW, "{}"), id="an account that the file has no more"),
        pytest.param(Provision("1", "user", "demo", "{}"), id="a kind of a later version"),
        pytest.param(Provision("1", NUMBER, NEW, '{"colour":"red"}'), id="a setting of a later version"),
        pytest.param(Provision("1", NUMBER, NEW, "[]"), id="no settings"),
        pytest.param(Provision("1", NUMBER, NEW, "{"), id="no JSON"),
        pytest.param(Provision("1", NUMBER, NEW, "null"), id="taken from a file that has it no more"),
    ],
)
async def test_what_does_not_fit_is_passed_over_and_can_be_taken_back(entry: Provision, node: Node) -> None:
    await node.store.provision([entry], 0)
    one = Configured(node.store)
    await one.put_number("2", "12345", {})
    assert one.has() == AS_IN_THE_FILE | {("2", "12345")}
    await one.remove(entry.account, entry.kind, entry.name, leave_file=True)
    found = await node.store.provisioned()
    assert found is not None
    assert [one.name for one in found.entries] == ["12345"]
    with pytest.raises(NotThere):
        await one.remove(entry.account, entry.kind, entry.name, leave_file=True)


async def test_a_number_that_refers_to_nothing_any_more_is_kept(node: Node) -> None:
    await Configured(node.store).put_number("1", NEW, {"application": "app", "carrier": "simulator"})
    later = Configured(node.store, settings(accounts=[{"id": "1"}], carriers=[]))
    await later.look()
    assert later.has() == {("1", NEW)}


def test_the_accounts_that_nothing_was_set_for_stay_the_same() -> None:
    file = settings().directory()
    drawn = draw(file, {Key("2", NUMBER, NEW): None}).directory
    assert drawn.accounts["1"] is file.accounts["1"]
