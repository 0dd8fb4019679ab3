"""What a node counts: one counter for everything, keyed by the metric's name and its labels' values.

The verbs add to it; ``passband.admin.metrics`` names, explains and shows what is in it. Numbers and texts of messages
are never labels.
"""


class Counts(dict[tuple[str, ...], int]):
    """What was counted so far; what was not is 0.

    Not a ``Counter``: that one has a method for ``del``, which makes every assignment a call of 1,300 instructions.
    """

    def __missing__(self, key: tuple[str, ...]) -> int:
        return 0
