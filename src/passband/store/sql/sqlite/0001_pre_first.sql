-- One row for each outbound recipient, from its acceptance to its terminal event. It holds all that its events need; the
-- text leaves it when the carrier has taken the message. Identifiers begin with their time, so the key is first in,
-- first out within an account, and what is old is found at its front.
CREATE TABLE recipients (
  account        TEXT    NOT NULL,
  id             TEXT    NOT NULL,
  n              INTEGER NOT NULL,
  application    TEXT    NOT NULL,
  sender         TEXT    NOT NULL,
  number         TEXT    NOT NULL,
  everyone       TEXT,                        -- all recipients, with commas; NULL if there is just this one
  text           TEXT    NOT NULL,
  length         INTEGER NOT NULL,            -- code points of the text
  media          TEXT,                        -- JSON array
  tag            TEXT,
  priority       INTEGER NOT NULL,            -- 0 none given, 1 default, 2 high
  expires_at     REAL,
  segment_count  INTEGER NOT NULL,
  kind           INTEGER NOT NULL,            -- 0 SMS, 1 MMS
  carrier        TEXT    NOT NULL,
  reference      INTEGER NOT NULL,            -- concatenation reference
  due_at         REAL    NOT NULL,
  attempts       INTEGER NOT NULL,
  code           INTEGER NOT NULL,            -- of the last refusal; handed: of the window's end
  announced      INTEGER NOT NULL,            -- message-sending is stored
  charge         INTEGER NOT NULL,            -- what it adds to its account's queue, in segments
  node           INTEGER NOT NULL,            -- who holds the lease; 0: nobody
  high           INTEGER NOT NULL,            -- goes before the others of its account
  state          INTEGER NOT NULL,            -- 0 queued, 1 handed
  carrier_ref    TEXT,                        -- of a handed message of one segment; longer ones: table segments
  ref_given      TEXT,                        -- that as the carrier gave it, where it differs; empty: it gave none
  deadline_at    REAL,                        -- until when receipts are awaited
  PRIMARY KEY (account, id, n)
) WITHOUT ROWID;

-- Only rows that no node holds: the common path never touches it.
CREATE INDEX recipients_free ON recipients (carrier, account, high, id, n, due_at) WHERE node = 0 AND state = 0;
CREATE INDEX recipients_ref ON recipients (carrier, carrier_ref, id DESC) WHERE carrier_ref IS NOT NULL;

-- The segments of a longer message whose receipt is still awaited, each with its own reference.
CREATE TABLE segments (
  account  TEXT    NOT NULL,
  id       TEXT    NOT NULL,
  n        INTEGER NOT NULL,
  segment  INTEGER NOT NULL,
  carrier  TEXT    NOT NULL,
  ref      TEXT    NOT NULL,
  deciding INTEGER NOT NULL,                  -- which receipts decide: 0 all, 1 all or one in the end, 2 the first;
                                              -- 3 is 1 after one has come
  ref_given TEXT,
  PRIMARY KEY (account, id, n, segment)
) WITHOUT ROWID;
CREATE INDEX segments_ref ON segments (carrier, ref, id DESC);

-- Events on their way to an application. Both terminal kinds share a slot, so a recipient cannot have two.
CREATE TABLE callbacks (
  account        TEXT    NOT NULL,
  id             TEXT    NOT NULL,
  n              INTEGER NOT NULL,
  slot           INTEGER NOT NULL,
  kind           TEXT    NOT NULL,
  direction      TEXT    NOT NULL,
  application    TEXT    NOT NULL,            -- who is told
  named          TEXT,                        -- the application named in the request, if another
  created_at     REAL    NOT NULL,
  sender         TEXT    NOT NULL,
  number         TEXT    NOT NULL,
  everyone       TEXT,
  text           TEXT    NOT NULL,
  length         INTEGER NOT NULL,
  media          TEXT,
  tag            TEXT,
  priority       INTEGER NOT NULL,
  segment_count  INTEGER NOT NULL,
  message_kind   INTEGER NOT NULL,
  at             REAL    NOT NULL,
  expires_at     REAL    NOT NULL,
  code           INTEGER NOT NULL,
  receipted      INTEGER NOT NULL,
  carrier        TEXT,
  due_at         REAL    NOT NULL,
  attempts       INTEGER NOT NULL,
  tried_at       REAL,
  node           INTEGER NOT NULL,
  PRIMARY KEY (account, id, n, slot)
) WITHOUT ROWID;
CREATE INDEX callbacks_free ON callbacks (account, application, direction, due_at) WHERE node = 0;
CREATE INDEX callbacks_expire ON callbacks (expires_at) WHERE node = 0;

-- Receipts that came before the outcome that names them; one row for each identifier that a receipt may mean.
CREATE TABLE orphans (
  receipt  TEXT    NOT NULL,
  carrier  TEXT    NOT NULL,
  ref      TEXT    NOT NULL,
  number   TEXT    NOT NULL,                  -- a mark of it
  code     INTEGER NOT NULL,
  at       REAL    NOT NULL,
  PRIMARY KEY (carrier, ref, receipt)
) WITHOUT ROWID;
CREATE INDEX orphans_receipt ON orphans (receipt);
CREATE INDEX orphans_age ON orphans (at);

-- Carriers' answers that came before the outcome that they are about.
CREATE TABLE early_answers (
  carrier  TEXT    NOT NULL,
  ref      TEXT    NOT NULL,
  numbers  TEXT    NOT NULL,                  -- marks, with commas; empty: all
  outcome  TEXT    NOT NULL,                  -- JSON
  at       REAL    NOT NULL,
  PRIMARY KEY (carrier, ref, numbers)
) WITHOUT ROWID;
CREATE INDEX early_answers_age ON early_answers (at);

-- Parts of longer inbound messages until the others have come, and for an hour what tells their repeats.
CREATE TABLE parts (
  carrier      TEXT    NOT NULL,
  key          TEXT    NOT NULL,
  sequence     INTEGER NOT NULL,
  total        INTEGER NOT NULL,
  digest       BLOB    NOT NULL,
  octets       BLOB,                          -- NULL once joined
  data_coding  INTEGER NOT NULL,
  ports        INTEGER NOT NULL,
  sender       TEXT    NOT NULL,              -- empty once joined, and so is number
  number       TEXT    NOT NULL,
  due_at       REAL    NOT NULL,              -- joined as it is then, or forgotten
  PRIMARY KEY (carrier, key, sequence)
) WITHOUT ROWID;
CREATE INDEX parts_due ON parts (due_at);

-- Carriers' identifiers of inbound messages, for a day, so that repeats are known.
CREATE TABLE inbound_refs (
  carrier  TEXT NOT NULL,
  ref      TEXT NOT NULL,
  at       REAL NOT NULL,
  PRIMARY KEY (carrier, ref)
) WITHOUT ROWID;
CREATE INDEX inbound_refs_age ON inbound_refs (at);

-- What limited accounts have waiting, in segments.
CREATE TABLE queues (
  account  TEXT    NOT NULL,
  kind     INTEGER NOT NULL,
  queued   INTEGER NOT NULL,
  PRIMARY KEY (account, kind)
) WITHOUT ROWID;

-- Until when each limit is used up (its theoretical arrival time).
CREATE TABLE paces (
  account  TEXT NOT NULL,
  key      TEXT NOT NULL,
  used_at  REAL NOT NULL,
  PRIMARY KEY (account, key)
) WITHOUT ROWID;

-- Metadata of what is over, where the operator asks for it; never text.
CREATE TABLE history (
  account        TEXT    NOT NULL,
  id             TEXT    NOT NULL,
  n              INTEGER NOT NULL,
  direction      TEXT    NOT NULL,
  source         TEXT    NOT NULL,
  destination    TEXT    NOT NULL,
  status         TEXT    NOT NULL,
  kind           INTEGER NOT NULL,
  segment_count  INTEGER NOT NULL,
  code           INTEGER NOT NULL,
  received_at    REAL    NOT NULL,
  carrier        TEXT,
  length         INTEGER NOT NULL,
  attachments    INTEGER NOT NULL,
  recipients     INTEGER NOT NULL,
  PRIMARY KEY (account, id, n)
) WITHOUT ROWID;
CREATE INDEX history_age ON history (received_at);

CREATE TABLE nodes (
  node        INTEGER PRIMARY KEY AUTOINCREMENT,
  host        TEXT    NOT NULL,
  pid         INTEGER NOT NULL,
  level       INTEGER NOT NULL,               -- the newest schema change that this node knows
  started_at  REAL    NOT NULL,
  beat_at     REAL    NOT NULL                -- 0: given up, what it held is being freed
);

-- Which node may hold which link to a carrier. A slot without a row is free.
CREATE TABLE slots (
  carrier  TEXT    NOT NULL,
  slot     INTEGER NOT NULL,
  node     INTEGER NOT NULL,
  PRIMARY KEY (carrier, slot)
) WITHOUT ROWID;

-- What was set while the platform ran, beside the configuration file.
CREATE TABLE provisioned (
  account  TEXT NOT NULL,
  kind     TEXT NOT NULL,
  name     TEXT NOT NULL,
  value    TEXT NOT NULL,
  PRIMARY KEY (account, kind, name)
) WITHOUT ROWID;

-- One row: how often that was changed.
CREATE TABLE provisioning (version INTEGER NOT NULL);
INSERT INTO provisioning (version) VALUES (0);
