"""MM4: multimedia messages over SMTP, to and from one peer's MMSC (3GPP TS 23.140 §8.4).

``carrier`` is the way out and in as dispatch sees it, ``sending`` one SMTP transaction, ``server`` what the peer
connects to, ``incoming`` what its mails mean to us. The mails themselves are the business of ``passband.mm4``.
"""
