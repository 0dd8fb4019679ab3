"""MM4 (3GPP TS 23.140 §8.4), multimedia messages between MMSCs, as bytes and values: no socket, no clock, no store.

``reading.parse`` turns a mail into one of the messages of ``message``, ``writing.render`` turns one into a mail, and
``outcome`` says what a peer's answer means for a recipient. What comes from a peer is read tolerantly and within limits
that are named where they apply; what goes to a peer is printable ASCII in lines that every MMSC accepts.
"""
