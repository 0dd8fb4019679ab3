-- The tables of the first release. Rows live for seconds and most are written three times, so: few indexes, the common
-- path outside the partial ones, room in the pages for the second version of a row, and a vacuum that neither waits for
-- a share of the table nor rests. Keys compare octet by octet (COLLATE "C"). What an application wrote may hold NUL,
-- which text cannot: it is bytea with UTF-8 in it. Columns of which nothing may be kept have no statistics (STATISTICS 0):
-- those are samples of what was in them, and stay when the rows are gone.

-- One row for each outbound recipient, from its acceptance to its terminal event; see the other engine's schema for what
-- the columns mean. Handing over enters carrier_ref into an index, so it cannot be a heap-only update.
CREATE TABLE recipients (
  account        text COLLATE "C" NOT NULL,
  id             text COLLATE "C" NOT NULL,
  n              smallint NOT NULL,
  application    bytea    NOT NULL,
  sender         text     NOT NULL,
  number         text COLLATE "C" NOT NULL,
  everyone       text,                        -- all recipients, with commas; NULL if there is just this one
  text           bytea    NOT NULL,
  length         int      NOT NULL,           -- code points of the text
  media          text,                        -- JSON array
  tag            bytea,
  priority       smallint NOT NULL,           -- 0 none given, 1 default, 2 high
  expires_at     float8,
  segment_count  smallint NOT NULL,
  kind           smallint NOT NULL,           -- 0 SMS, 1 MMS
  carrier        text COLLATE "C" NOT NULL,
  reference      int      NOT NULL,           -- concatenation reference
  due_at         float8   NOT NULL,
  attempts       int      NOT NULL,
  code           int      NOT NULL,           -- of the last refusal; handed: of the window's end
  announced      smallint NOT NULL,           -- message-sending is stored
  charge         int      NOT NULL,           -- what it adds to its account's queue, in segments
  node           int      NOT NULL,           -- who holds the lease; 0: nobody
  high           smallint NOT NULL,           -- goes before the others of its account
  state          smallint NOT NULL,           -- 0 queued, 1 handed
  carrier_ref    bytea,                       -- of a handed message of one segment; longer ones: table segments
  ref_given      bytea,                       -- that as the carrier gave it, where it differs; empty: it gave none
  awaited        smallint NOT NULL DEFAULT 0, -- segments of a handed longer message whose receipts have not come
  enough         smallint NOT NULL DEFAULT 0, -- one that came is enough when the receipt window is over
  deadline_at    float8,                      -- until when receipts are awaited
  PRIMARY KEY (account, id, n)
) WITH (
  fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000,
  autovacuum_vacuum_cost_delay = 0
);
-- A text stays in its row, compressed if that is long: it is read once and gone soon, another table would be two more
-- writes.
ALTER TABLE recipients ALTER COLUMN text SET STORAGE MAIN, ALTER COLUMN everyone SET STORAGE MAIN,
  ALTER COLUMN media SET STORAGE MAIN;
ALTER TABLE recipients ALTER COLUMN text SET STATISTICS 0, ALTER COLUMN everyone SET STATISTICS 0,
  ALTER COLUMN media SET STATISTICS 0, ALTER COLUMN tag SET STATISTICS 0, ALTER COLUMN sender SET STATISTICS 0,
  ALTER COLUMN number SET STATISTICS 0, ALTER COLUMN ref_given SET STATISTICS 0;

CREATE INDEX recipients_free ON recipients (carrier, account, high, id, n, due_at) WHERE node = 0 AND state = 0;
CREATE INDEX recipients_ref ON recipients (carrier, carrier_ref, id) WHERE carrier_ref IS NOT NULL;
-- So that looking for overdue receipts does not walk through a million that wait for their carrier, every five seconds. In
-- other words than "state = 1", lest the planner walk through this index for a statement that has that condition, too.
CREATE INDEX recipients_handed ON recipients (deadline_at) WHERE state + 0 = 1;

-- The segments of a longer message whose receipt is still awaited, each with its own reference.
CREATE TABLE segments (
  account  text COLLATE "C" NOT NULL,
  id       text COLLATE "C" NOT NULL,
  n        smallint NOT NULL,
  segment  smallint NOT NULL,
  carrier  text COLLATE "C" NOT NULL,
  ref      bytea    NOT NULL,
  number   text COLLATE "C" NOT NULL,         -- the recipient's, so that a receipt is matched without its row
  deciding smallint NOT NULL,                 -- which receipts decide: 0 all, 1 all or one in the end, 2 the first
  ref_given bytea,
  PRIMARY KEY (account, id, n, segment)
) WITH (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_threshold = -1,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000, autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE segments ALTER COLUMN number SET STATISTICS 0, ALTER COLUMN ref_given SET STATISTICS 0;
CREATE INDEX segments_ref ON segments (carrier, ref, id);

-- Events on their way to an application. Both terminal kinds share a slot, so a recipient cannot have two.
CREATE TABLE callbacks (
  account        text COLLATE "C" NOT NULL,
  id             text COLLATE "C" NOT NULL,
  n              smallint NOT NULL,
  slot           smallint NOT NULL,
  kind           text     NOT NULL,
  direction      text COLLATE "C" NOT NULL,
  application    bytea    NOT NULL,           -- who is told
  named          bytea,                       -- the application named in the request, if another
  created_at     float8   NOT NULL,
  sender         text     NOT NULL,
  number         text     NOT NULL,
  everyone       text,
  text           bytea    NOT NULL,
  length         int      NOT NULL,
  media          text,
  tag            bytea,
  priority       smallint NOT NULL,
  segment_count  smallint NOT NULL,
  message_kind   smallint NOT NULL,
  at             float8   NOT NULL,
  expires_at     float8   NOT NULL,
  code           int      NOT NULL,
  receipted      smallint NOT NULL,
  carrier        text,
  due_at         float8   NOT NULL,
  attempts       int      NOT NULL,
  tried_at       float8,
  node           int      NOT NULL,
  PRIMARY KEY (account, id, n, slot)
) WITH (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_threshold = -1,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000, autovacuum_vacuum_cost_delay = 0
);
ALTER TABLE callbacks ALTER COLUMN text SET STORAGE MAIN, ALTER COLUMN everyone SET STORAGE MAIN,
  ALTER COLUMN media SET STORAGE MAIN;
ALTER TABLE callbacks ALTER COLUMN text SET STATISTICS 0, ALTER COLUMN everyone SET STATISTICS 0,
  ALTER COLUMN media SET STATISTICS 0, ALTER COLUMN tag SET STATISTICS 0, ALTER COLUMN sender SET STATISTICS 0,
  ALTER COLUMN number SET STATISTICS 0;
CREATE INDEX callbacks_free ON callbacks (account, application, direction, due_at) WHERE node = 0;
-- The same condition in other words: else, where statistics say that nothing is free, the planner takes this index for
-- the one above, and walks through all that has become free since.
CREATE INDEX callbacks_expire ON callbacks (expires_at) WHERE node + 0 = 0;

-- Receipts that came before the outcome that names them; one row for each identifier that a receipt may mean.
CREATE TABLE orphans (
  receipt  bytea    NOT NULL,
  carrier  text COLLATE "C" NOT NULL,
  ref      bytea    NOT NULL,
  number   text COLLATE "C" NOT NULL,         -- a mark of it
  code     int      NOT NULL,
  at       float8   NOT NULL,
  PRIMARY KEY (carrier, ref, receipt)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX orphans_receipt ON orphans (receipt);
CREATE INDEX orphans_age ON orphans (at);

-- Carriers' answers that came before the outcome that they are about.
CREATE TABLE early_answers (
  carrier  text COLLATE "C" NOT NULL,
  ref      bytea    NOT NULL,
  numbers  text COLLATE "C" NOT NULL,         -- marks, with commas; empty: all
  outcome  text     NOT NULL,                 -- JSON
  at       float8   NOT NULL,
  PRIMARY KEY (carrier, ref, numbers)
);
CREATE INDEX early_answers_age ON early_answers (at);

-- Parts of longer inbound messages until the others have come, and for an hour what tells their repeats.
CREATE TABLE parts (
  carrier      text COLLATE "C" NOT NULL,
  key          bytea    NOT NULL,
  sequence     smallint NOT NULL,
  total        smallint NOT NULL,
  digest       bytea    NOT NULL,
  octets       bytea,                         -- NULL once joined
  data_coding  smallint NOT NULL,
  ports        smallint NOT NULL,
  sender       text     NOT NULL,             -- empty once joined, and so is number
  number       text     NOT NULL,
  due_at       float8   NOT NULL,             -- joined as it is then, or forgotten
  PRIMARY KEY (carrier, key, sequence)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE parts ALTER COLUMN octets SET STATISTICS 0, ALTER COLUMN sender SET STATISTICS 0,
  ALTER COLUMN number SET STATISTICS 0;
CREATE INDEX parts_due ON parts (due_at);

-- Carriers' identifiers of inbound messages, for a day, so that repeats are known.
CREATE TABLE inbound_refs (
  carrier  text COLLATE "C" NOT NULL,
  ref      bytea    NOT NULL,
  at       float8   NOT NULL,
  PRIMARY KEY (carrier, ref)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX inbound_refs_age ON inbound_refs (at);

-- What limited accounts have waiting, in segments. One row for each, however often it is written: its turn grows each time,
-- so that the newest version is found first, however many older ones there still are.
CREATE TABLE queues (
  account  text COLLATE "C" NOT NULL,
  kind     smallint NOT NULL,
  turn     bigint   NOT NULL,
  queued   int      NOT NULL,
  PRIMARY KEY (account, kind, turn)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);

-- Until when each limit is used up (its theoretical arrival time).
CREATE TABLE paces (
  account  text COLLATE "C" NOT NULL,
  key      text COLLATE "C" NOT NULL,
  turn     bigint   NOT NULL,
  used_at  float8   NOT NULL,
  PRIMARY KEY (account, key, turn)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);

-- Metadata of what is over, where the operator asks for it; never text.
CREATE TABLE history (
  account        text COLLATE "C" NOT NULL,
  id             text COLLATE "C" NOT NULL,
  n              smallint NOT NULL,
  direction      text     NOT NULL,
  source         text     NOT NULL,
  destination    text     NOT NULL,
  status         text     NOT NULL,
  kind           smallint NOT NULL,
  segment_count  smallint NOT NULL,
  code           int      NOT NULL,
  received_at    float8   NOT NULL,
  carrier        text,
  length         int      NOT NULL,
  attachments    smallint NOT NULL,
  recipients     smallint NOT NULL,
  PRIMARY KEY (account, id, n)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_cost_delay = 0);
ALTER TABLE history ALTER COLUMN source SET STATISTICS 0, ALTER COLUMN destination SET STATISTICS 0;
CREATE INDEX history_age ON history (received_at);

CREATE TABLE nodes (
  node        int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  host        text        NOT NULL,
  pid         int         NOT NULL,
  level       int         NOT NULL,           -- the newest schema change that this node knows
  started_at  timestamptz NOT NULL,           -- by the database's clock, as below
  beat_at     timestamptz NOT NULL,
  given_up    boolean     NOT NULL DEFAULT false -- what it held is being freed
) WITH (fillfactor = 30);

-- Which node may hold which link to a carrier. A slot without a row is free.
CREATE TABLE slots (
  carrier  text COLLATE "C" NOT NULL,
  slot     int  NOT NULL,
  node     int  NOT NULL,
  PRIMARY KEY (carrier, slot)
);

-- What was set while the platform ran, beside the configuration file.
CREATE TABLE provisioned (
  account  text COLLATE "C" NOT NULL,
  kind     text COLLATE "C" NOT NULL,
  name     text COLLATE "C" NOT NULL,
  value    text NOT NULL,
  PRIMARY KEY (account, kind, name)
);

-- One row: how often that was changed.
CREATE TABLE provisioning (version int NOT NULL);
INSERT INTO provisioning (version) VALUES (0);

-- Ends a transaction that was sent whole in one go when it met something it did not expect; it is run again with care.
CREATE FUNCTION passband_expect(boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF $1 IS NOT TRUE THEN
    RAISE EXCEPTION 'not as expected' USING ERRCODE = 'PB001';
  END IF;
END $$;
