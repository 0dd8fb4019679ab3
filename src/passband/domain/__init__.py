"""Values and rules: what a message, a number, a text and an error code are, and what may become of them.

Nothing here performs I/O, reads a clock or knows asyncio; only the standard library and msgspec are imported. Time and
randomness are arguments, so that every rule can be tested as a table.
"""
