"""Passband: a messaging platform to run yourself.

The path of a message:

    application ─POST─▶ api ─▶ accept ─▶ STORE ─▶ dispatch ─▶ carrier ─▶ network
                         202 ◀────┘        ▲ outcome ◀─┘          │
                                           └────── receive ◀──────┘   receipts, inbound messages
                                         STORE ─▶ notify ─POST─▶ application     (until 2xx, or 24 h)

Five verbs are the whole service: accept, dispatch, receive, notify, expire (``passband.flow``). They never call each
other. Each takes what is due from the store, acts, and records what came of it in one transaction, so that a crash
anywhere loses nothing and repeats at most one step. ``passband.service`` puts the parts together.
"""

__version__ = "0.1.0"
