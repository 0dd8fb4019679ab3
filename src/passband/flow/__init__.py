"""The five verbs: accept, dispatch, receive, notify, expire.

They never call each other. They meet in the store: each takes what is due, acts, and records what came of it in one
transaction. What a node has just stored goes straight on to its own dispatch and notify (``passband.store.Births``). A
wake-up between them is a hint that may be lost; every loop also looks by itself.
"""
