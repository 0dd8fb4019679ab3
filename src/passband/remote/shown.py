"""What a running Passband answers, as lines for people: numbers, applications, faults."""

from collections.abc import Mapping, Sequence
from typing import Any

from passband.terminal import columns

View = Mapping[str, Any]


def numbers(answer: View) -> list[str]:
    """Return ``GET /admin/numbers`` as a table."""
    rows = [
        (
            one["number"],
            one["account"],
            one["application"] or "none",
            one["carrier"] or "by the routes",
            "no limit" if one["rate"] is None else f"{one['rate']:g}/s",
            one["setBy"],
            "" if one["enabled"] else "may not send",
        )
        for one in answer["numbers"]
    ]
    head = ("number", "account", "application", "carrier", "rate", "set by", "")
    return _table(head, rows, answer["total"], "numbers") + _removed(answer, "number")


def applications(answer: View) -> list[str]:
    """Return ``GET /admin/applications`` as a table."""
    rows = [
        (
            one["id"],
            one["account"],
            one["name"],
            one["inboundUrl"] or "nowhere",
            one["outboundUrl"] or "nowhere",
            "the default" if one["requested"] is None else ", ".join(one["requested"]) or "none",
            one["setBy"],
        )
        for one in answer["applications"]
    ]
    head = ("application", "account", "name", "inbound events to", "outbound events to", "of them wanted", "set by")
    return _table(head, rows, answer["total"], "applications") + _removed(answer, "id")


def faults(answer: View) -> list[str]:
    """Return the faults in force of ``GET /admin/faults`` as a table."""
    rows = [(one["id"], one["fault"], _asked(one), str(one["hits"]), one["does"]) for one in answer["faults"]]
    return columns(("id", "fault", "of", "happened", ""), rows) if rows else ["no faults are in force"]


def sorts(answer: View) -> list[str]:
    """Return the sorts of faults of ``GET /admin/faults`` as a table."""
    rows = [
        (one["fault"], _options(one["needs"]), _options(one["may"]), one["does"]) for one in answer["sorts"]
    ]  # fmt: skip
    return columns(("fault", "needs", "may have", ""), rows)


def fault(view: View) -> str:
    """Return one fault that was put in force, in words."""
    return f"{view['id']}  {view['fault']}  {_asked(view)}: {view['does']}"


def _removed(answer: View, key: str) -> list[str]:
    """Return what the configuration file has and the admin API has taken away."""
    return [f"{one[key]} of account {one['account']} was taken away by the admin API" for one in answer["removed"]]


def _asked(view: View) -> str:
    rest = {name: value for name, value in view.items() if name not in ("id", "fault", "does", "hits")}
    return ", ".join(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
                     for name, value in rest.items()) or "everything"  # fmt: skip


def _options(fields: Sequence[str]) -> str:
    """Return fields as the options of ``passband fault set``, where --url is the admin API's own."""
    return " ".join("--endpoint" if field == "url" else f"--{field}" for field in fields)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], total: int, what: str) -> list[str]:
    if not rows:
        return [f"there are no {what}"]
    more = [f"… and {total - len(rows)} more {what}"] if total > len(rows) else []
    return [*columns(head, rows), *more]
