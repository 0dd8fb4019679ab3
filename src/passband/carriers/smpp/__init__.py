"""SMPP: carriers that take and deliver SMS over SMPP 3.4. A thin shell of sockets around ``passband.smpp``.

settings     what can be set for a carrier, with defaults
carrier      the carrier: its queue, its reports
reports      what is reported, in batches, and when the carrier's peer is answered
outbound     a recipient → its segments; answers → its outcome
inbound      deliver_sm → receipts, messages and parts of messages
repeats      inbound messages that come again
numbers      the forms of numbers on the wire
pacing       rate, and the pause after throttling
slots        which links this node holds: a carrier's binds are shared among nodes
link         one bind that is kept up; when it is tried again
connection   one connection: a session and its transport
check        can the carrier be reached?
"""

from passband.carriers.smpp.carrier import SmppCarrier
from passband.carriers.smpp.link import LinkState
from passband.carriers.smpp.settings import ExtraTlv, ReceiptState, SmppSettings, StatusOverride

__all__ = ["ExtraTlv", "LinkState", "ReceiptState", "SmppCarrier", "SmppSettings", "StatusOverride"]
