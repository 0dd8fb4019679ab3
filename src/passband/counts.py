"""What a node counts: one counter for everything, keyed by the metric's name and its labels' values.

The verbs add to it; ``passband.admin.metrics`` names, explains and shows what is in it. Numbers and texts of messages
are never labels.
"""

from collections import Counter

Counts = Counter[tuple[str, ...]]
