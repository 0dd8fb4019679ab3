"""SMPP 3.4: bytes ⇄ values, and the rules of a session, for both of its ends.

    pdu            the PDUs as values, and how they are written
    codec          octets → PDUs: framing and reading; the two errors that reading knows
    tlv            optional parameters
    template       the short way to write the many submit_sm of one carrier
    text           data_coding ⇄ text
    udh            user data headers, and where a segment stands in its message
    receipt        delivery receipts: what is one, what it says
    message_id     whose receipt it is: the keys under which carriers' message ids are looked up
    outcome        statuses and receipts → verdicts, by the tables of error_mapping and err_dialects
    times          the 16 characters of an SMPP time
    session        a session's window and timers; session_states holds its table, session_steps what its acts do,
                   session_events what it tells

The rule that decides what belongs here: no I/O and no clock. Octets are handed in, octets and values come out, and
``now`` is an argument. Sockets are the business of ``passband.carriers``.
"""
