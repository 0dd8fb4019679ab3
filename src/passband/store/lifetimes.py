"""How long the store keeps what it keeps for a while, the same for both engines."""

ORPHAN_SECONDS = 600.0  # how long a receipt may precede its outcome
INBOUND_REF_SECONDS = 24 * 3600.0  # how long a carrier's repeats are known (Semantics, section 8)
JOINED_PART_SECONDS = 3600.0  # how long repeats of a joined message's parts are known
REPEAT_SECONDS = 300.0  # how long a message whose answer is in doubt may come again
DOUBT_SECONDS = 60.0  # how long before the end of a node its answers are in doubt
EXPIRE_ROWS = 500  # in one step, so that expiring a backlog does not hold up everyone else
NO_CARRIER = 5501  # the code of what has waited in the store for too long
