"""Which schema changes are made when: forward only, each once, and never under the feet of an older node.

A ``pre`` change (0002_pre_…) is one that older nodes do not notice: it is made when a node starts. A ``post`` change
(0002_post_…) takes away what older nodes need: it is made once none of them lives. Each node tells in ``nodes`` the
number of the newest change that it knows, its level. The engines make the changes, one node at a time.
"""

from collections.abc import Collection, Sequence

from passband.domain.errors import StoreUnavailable

Migration = tuple[str, str]  # its name and its SQL


def level_of(migrations: Sequence[Migration]) -> int:
    """Return the number of the newest schema change."""
    return max(_number(name) for name, _ in migrations)


def to_make(migrations: Sequence[Migration], done: Collection[str], oldest: int | None) -> tuple[list[Migration], bool]:
    """Return the changes to make now, in order, and whether none is left then.

    ``done`` are the names of those that the database has seen, ``oldest`` is the lowest level of the nodes that live;
    None: there are none. Raises StoreUnavailable if the database has had post changes that this version does not know.
    """
    known = {name for name, _ in migrations}
    if newer := sorted(name for name in done if name not in known and _is_post(name)):
        raise StoreUnavailable(f"the database belongs to a newer version of Passband ({newer[-1]})")
    missing = sorted((m for m in migrations if m[0] not in done), key=_place)
    now = [m for m in missing if not (_is_post(m[0]) and oldest is not None and oldest < _number(m[0]))]
    return now, len(now) == len(missing)


def _number(name: str) -> int:
    return int(name[:4])


def _is_post(name: str) -> bool:
    return name[4:].startswith("_post_")


def _place(migration: Migration) -> tuple[int, bool, str]:
    """Of one number what is added comes before what is taken away."""
    name = migration[0]
    return _number(name), _is_post(name), name
