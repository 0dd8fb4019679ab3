-- Every statement of the PostgreSQL engine that changes something. {recipient}, {callback} and {history} stand for column
-- lists, {…_arrays} for their parameters, one array for each column.
--
-- Rule: a batch's keys are joined to a table by LATERAL … OFFSET 0 and then by ctid, never directly. It leaves the
-- planner one way only: from each key through the index. It plans these statements once, from what statistics said at
-- that moment, and these tables go from empty to a million rows and back within minutes. The conditions are repeated
-- outside, because only those are looked at again when another transaction has changed the row in between; such a row
-- has a new ctid and is left alone. Where the rows were locked first nothing is repeated: "node = 0" would invite a walk
-- through everything that is free.

-- name: insert_recipients
-- Recipients at their birth, queued.
INSERT INTO recipients ({recipient}, node, high, state)
SELECT *, 0 FROM unnest({born_recipient_arrays})

-- name: hand_over
-- The carrier has them. The text goes, unless the carrier owes an answer, which may be to come again: then the code is
-- what they fail with without one, negative. That of earlier refusals goes. A lease that was lost changes nothing.
UPDATE recipients r SET state = 1, charge = 0, node = 0, carrier_ref = v.ref, ref_given = v.given,
  deadline_at = v.deadline_at, awaited = v.awaited, enough = 0, text = CASE v.unanswered WHEN 0 THEN '' ELSE r.text END,
  code = -v.unanswered
FROM unnest($1::text[], $2::text[], $3::smallint[], $4::bytea[], $5::bytea[], $6::float8[], $7::smallint[], $8::int[])
  AS v (account, id, n, ref, given, deadline_at, awaited, unanswered)
CROSS JOIN LATERAL (
  SELECT x.ctid AS tid FROM recipients x
  WHERE x.account = v.account AND x.id = v.id AND x.n = v.n AND x.node = $9::int AND x.state = 0 OFFSET 0) AS held
WHERE r.ctid = held.tid AND r.node = $9::int AND r.state = 0
RETURNING r.account, r.id, r.n

-- name: known_by_pair
-- How many handed recipients are known to the carrier by this reference, which several may have.
SELECT count(*) FROM (
  SELECT account, id, n FROM recipients WHERE carrier = $1::text AND carrier_ref = $2::bytea AND number = $3::text
  UNION SELECT account, id, n FROM segments WHERE carrier = $1::text AND ref = $2::bytea AND number = $3::text) AS known

-- name: handed_by_answer
-- All handed recipients known to the carrier by this reference, each with the place of its next segment; an answer may
-- not name them.
SELECT (SELECT max(s.segment) + 1 FROM segments s WHERE s.account = r.account AND s.id = r.id AND s.n = r.n), {recipient}
FROM recipients r WHERE r.state = 1 AND r.ctid = ANY(ARRAY(
  SELECT found.tid FROM segments s CROSS JOIN LATERAL (
    SELECT x.ctid AS tid FROM recipients x WHERE x.account = s.account AND x.id = s.id AND x.n = s.n OFFSET 0) AS found
  WHERE s.carrier = $1::text AND s.ref = $2::bytea))
ORDER BY r.account, r.id, r.n FOR UPDATE

-- name: hand_over_answered
-- The answer has come, receipts are awaited from now on.
UPDATE recipients SET code = 0, text = '', deadline_at = $4::float8, awaited = awaited + $5::int
WHERE account = $1::text AND id = $2::text AND n = $3::int AND state = 1

-- name: requeue_handed
-- The carrier's answer is to come again. Every node may record it, so the row waits free for any.
UPDATE recipients SET state = 0, due_at = $4::float8, attempts = $5::int, code = $6::int, carrier_ref = NULL,
  ref_given = NULL, deadline_at = NULL
WHERE account = $1::text AND id = $2::text AND n = $3::int AND state = 1

-- name: requeue
UPDATE recipients r SET due_at = v.due_at, attempts = v.attempts, code = v.code, node = 0
FROM unnest($1::text[], $2::text[], $3::smallint[], $4::float8[], $5::int[], $6::int[])
  AS v (account, id, n, due_at, attempts, code)
CROSS JOIN LATERAL (
  SELECT x.ctid AS tid FROM recipients x
  WHERE x.account = v.account AND x.id = v.id AND x.n = v.n AND x.node = $7::int AND x.state = 0 OFFSET 0) AS held
WHERE r.ctid = held.tid AND r.node = $7::int AND r.state = 0

-- name: announce
UPDATE recipients r SET announced = 1
FROM unnest($1::text[], $2::text[], $3::smallint[]) AS v (account, id, n)
CROSS JOIN LATERAL (
  SELECT x.ctid AS tid FROM recipients x
  WHERE x.account = v.account AND x.id = v.id AND x.n = v.n AND x.node = $4::int AND x.state = 0 OFFSET 0) AS held
WHERE r.ctid = held.tid AND r.node = $4::int AND r.state = 0 AND r.announced = 0
RETURNING r.account, r.id, r.n

-- name: settle_leased
DELETE FROM recipients r
USING unnest($1::text[], $2::text[], $3::smallint[]) AS v (account, id, n)
CROSS JOIN LATERAL (
  SELECT x.ctid AS tid FROM recipients x
  WHERE x.account = v.account AND x.id = v.id AND x.n = v.n AND x.node = $4::int AND x.state = 0 OFFSET 0) AS held
WHERE r.ctid = held.tid AND r.node = $4::int AND r.state = 0
RETURNING r.account, r.id, r.n

-- name: insert_segments
INSERT INTO segments (account, id, n, segment, carrier, ref, number, deciding, ref_given)
SELECT * FROM unnest($1::text[], $2::text[], $3::smallint[], $4::smallint[], $5::text[], $6::bytea[], $7::text[],
  $8::smallint[], $9::bytea[])
ON CONFLICT (account, id, n, segment) DO UPDATE
SET carrier = excluded.carrier, ref = excluded.ref, deciding = excluded.deciding, ref_given = excluded.ref_given

-- name: match_receipts
-- What receipts decide. Each may name its segment in several ways, the likeliest first; of several that match, the newest
-- message is meant. No two receipts may share a reference. Returned are, each with the place of what named it in the
-- arrays, from 1, recipients of one segment, whose rows are gone, and the keys of those of which a segment was meant,
-- with which receipts decide; and then each of the latter once, with the number of segments that are still awaited.
-- (Joined here, they would be compared all with all.)
WITH wanted AS MATERIALIZED (
  SELECT * FROM unnest($1::int[], $2::text[], $3::bytea[], $4::text[])
    WITH ORDINALITY AS v (receipt, carrier, ref, number, place)
), claims AS MATERIALIZED (
  SELECT DISTINCT ON (w.receipt) w.receipt, w.place, found.tid FROM wanted w
  CROSS JOIN LATERAL (
    SELECT x.ctid AS tid FROM recipients x
    WHERE x.carrier = w.carrier AND x.carrier_ref = w.ref AND x.number = w.number
    ORDER BY x.id DESC LIMIT 1) AS found
  ORDER BY w.receipt, w.place
), whole AS (
  DELETE FROM recipients r USING claims c WHERE r.ctid = c.tid AND r.state = 1
  RETURNING c.place, {recipient}
), parts AS (
  DELETE FROM segments s USING (
    SELECT DISTINCT ON (w.receipt) w.place, found.tid FROM wanted w
    CROSS JOIN LATERAL (
      SELECT x.ctid AS tid FROM segments x
      WHERE x.carrier = w.carrier AND x.ref = w.ref AND x.number = w.number
      ORDER BY x.id DESC LIMIT 1) AS found
    WHERE w.receipt NOT IN (SELECT c.receipt FROM claims c)
    ORDER BY w.receipt, w.place) AS claimed
  WHERE s.ctid = claimed.tid
  RETURNING claimed.place, s.account AS a, s.id AS i, s.n AS m, s.deciding
), counted AS (
  UPDATE recipients r SET awaited = r.awaited - p.count, enough = greatest(r.enough, p.some)
  FROM (SELECT a, i, m, count(*)::smallint AS count, max((deciding = 1)::int) AS some FROM parts GROUP BY a, i, m) AS p
  -- Another node may be counting too, and then its count is the one to go on from: so by key, not by ctid. ANY leaves the
  -- planner no other way round either.
  WHERE r.account = ANY(ARRAY[p.a]) AND r.id = ANY(ARRAY[p.i]) AND r.n = ANY(ARRAY[p.m]) AND r.state = 1
  RETURNING r.awaited, {recipient}
)
SELECT place, NULL::int AS deciding, NULL::int AS awaited, {recipient} FROM whole
UNION ALL
SELECT place, deciding, NULL, a, i, m, {no_more} FROM parts
UNION ALL
SELECT NULL, NULL, awaited, {recipient} FROM counted
ORDER BY place NULLS LAST

-- name: note_unclear
-- What handed recipients fail with when the window is over. What is noted stays; so does the answer that is owed. They are
-- found as by match_receipts, but receipts may share references. Returned are the receipts that match.
WITH wanted AS MATERIALIZED (
  SELECT * FROM unnest($1::int[], $2::text[], $3::bytea[], $4::text[], $5::int[])
    WITH ORDINALITY AS v (receipt, carrier, ref, number, code, place)
), meant AS MATERIALIZED (
  SELECT DISTINCT ON (w.receipt) w.receipt, w.code, found.a, found.i, found.m FROM wanted w
  CROSS JOIN LATERAL (
    (SELECT 0 AS way, x.account AS a, x.id AS i, x.n AS m FROM recipients x
     WHERE x.carrier = w.carrier AND x.carrier_ref = w.ref AND x.number = w.number
     ORDER BY x.id DESC LIMIT 1)
    UNION ALL
    (SELECT 1, x.account, x.id, x.n FROM segments x
     WHERE x.carrier = w.carrier AND x.ref = w.ref AND x.number = w.number
     ORDER BY x.id DESC LIMIT 1)) AS found
  ORDER BY w.receipt, found.way, w.place
), noted AS (
  -- By key, for the reason that match_receipts has.
  UPDATE recipients r SET code = p.code FROM meant p
  WHERE r.account = ANY(ARRAY[p.a]) AND r.id = ANY(ARRAY[p.i]) AND r.n = ANY(ARRAY[p.m]) AND r.state = 1 AND r.code = 0
)
SELECT receipt FROM meant

-- name: settle_handed
DELETE FROM recipients r
USING unnest($1::text[], $2::text[], $3::smallint[]) AS v (account, id, n)
CROSS JOIN LATERAL (
  SELECT x.ctid AS tid FROM recipients x
  WHERE x.account = v.account AND x.id = v.id AND x.n = v.n AND x.state = 1 OFFSET 0) AS found
WHERE r.ctid = found.tid AND r.state = 1

-- name: delete_segments
DELETE FROM segments s
USING unnest($1::text[], $2::text[], $3::smallint[]) AS v (account, id, n)
CROSS JOIN LATERAL (
  SELECT x.ctid AS tid FROM segments x
  WHERE x.account = v.account AND x.id = v.id AND x.n = v.n OFFSET 0) AS found
WHERE s.ctid = found.tid

-- name: insert_callbacks
-- Events at their birth. A terminal event of a recipient that has one already is not kept.
INSERT INTO callbacks ({callback}, node)
SELECT * FROM unnest({born_callback_arrays}) ON CONFLICT (account, id, n, slot) DO NOTHING

-- name: delete_callbacks
DELETE FROM callbacks c
USING unnest($1::text[], $2::text[], $3::smallint[], $4::smallint[]) AS v (account, id, n, slot)
CROSS JOIN LATERAL (
  SELECT x.ctid AS tid FROM callbacks x
  WHERE x.account = v.account AND x.id = v.id AND x.n = v.n AND x.slot = v.slot AND x.node = $5::int OFFSET 0) AS held
WHERE c.ctid = held.tid AND c.node = $5::int

-- name: retry_callbacks
UPDATE callbacks c SET due_at = v.due_at, attempts = v.attempts, tried_at = v.tried_at, node = 0
FROM unnest($1::text[], $2::text[], $3::smallint[], $4::smallint[], $5::float8[], $6::int[], $7::float8[])
  AS v (account, id, n, slot, due_at, attempts, tried_at)
CROSS JOIN LATERAL (
  SELECT x.ctid AS tid FROM callbacks x
  WHERE x.account = v.account AND x.id = v.id AND x.n = v.n AND x.slot = v.slot AND x.node = $8::int OFFSET 0) AS held
WHERE c.ctid = held.tid AND c.node = $8::int

-- name: hand_over_lock
-- Taken by who hands over, shared, and by who keeps an early receipt, alone: neither may miss the other.
SELECT pg_advisory_xact_lock_shared(1885500001)

-- name: early_lock
SELECT pg_advisory_xact_lock(1885500001)

-- name: try_early_lock
SELECT pg_try_advisory_xact_lock(1885500001)

-- name: none_early
-- Nothing came early for these references, whatever the number: that is compared with care, if need be.
SELECT passband_expect(NOT EXISTS (
  SELECT FROM unnest($1::text[], $2::bytea[]) AS v (carrier, ref)
  CROSS JOIN LATERAL (
    SELECT FROM orphans o WHERE o.carrier = v.carrier AND o.ref = v.ref
    UNION ALL
    SELECT FROM early_answers a WHERE a.carrier = v.carrier AND a.ref = v.ref OFFSET 0) AS early))

-- name: early_receipts
SELECT o.receipt, o.carrier, o.ref, o.number, o.code, o.at
FROM unnest($1::text[], $2::bytea[], $3::text[]) AS v (carrier, ref, number)
CROSS JOIN LATERAL (
  SELECT * FROM orphans x WHERE x.carrier = v.carrier AND x.ref = v.ref AND x.number = v.number FOR UPDATE) AS o
ORDER BY o.at

-- name: insert_orphans
INSERT INTO orphans (receipt, carrier, ref, number, code, at)
SELECT * FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::text[], $5::int[], $6::float8[]) ON CONFLICT DO NOTHING

-- name: delete_orphans
DELETE FROM orphans WHERE receipt = ANY($1::bytea[])

-- name: early_answers
-- They stay until they are too old: an answer may concern recipients that are handed over one after the other.
SELECT a.carrier, a.ref, a.numbers, a.outcome FROM unnest($1::text[], $2::bytea[]) AS v (carrier, ref)
CROSS JOIN LATERAL (SELECT * FROM early_answers x WHERE x.carrier = v.carrier AND x.ref = v.ref OFFSET 0) AS a
ORDER BY a.at

-- name: insert_early_answer
INSERT INTO early_answers (carrier, ref, numbers, outcome, at)
VALUES ($1::text, $2::bytea, $3::text, $4::text, $5::float8)
ON CONFLICT (carrier, ref, numbers) DO UPDATE SET outcome = excluded.outcome, at = excluded.at

-- name: expire_early_answers
DELETE FROM early_answers WHERE at < $1::float8

-- name: expire_orphans
DELETE FROM orphans WHERE at < $1::float8 RETURNING carrier, receipt

-- name: part_locks
-- One node at a time puts the parts of a message together; messages share a few locks, taken in the order given.
SELECT count(pg_advisory_xact_lock(1885500100 + bucket)) FROM unnest($1::int[]) AS v (bucket)

-- name: parts
SELECT p.carrier, p.key, p.sequence, p.total, encode(p.digest, 'hex'), encode(p.octets, 'hex'), p.data_coding, p.ports,
  p.sender, p.number, p.due_at
FROM unnest($1::text[], $2::bytea[]) AS v (carrier, key)
CROSS JOIN LATERAL (SELECT * FROM parts x WHERE x.carrier = v.carrier AND x.key = v.key OFFSET 0) AS p

-- name: delete_parts
DELETE FROM parts p USING unnest($1::text[], $2::bytea[], $3::smallint[]) AS v (carrier, key, sequence)
CROSS JOIN LATERAL (
  SELECT x.ctid AS tid FROM parts x
  WHERE x.carrier = v.carrier AND x.key = v.key AND x.sequence = v.sequence OFFSET 0) AS found
WHERE p.ctid = found.tid

-- name: insert_parts
INSERT INTO parts (carrier, key, sequence, total, digest, octets, data_coding, ports, sender, number, due_at)
SELECT * FROM unnest($1::text[], $2::bytea[], $3::smallint[], $4::smallint[], $5::bytea[], $6::bytea[], $7::smallint[],
  $8::smallint[], $9::text[], $10::text[], $11::float8[])

-- name: due_parts
-- Messages of these carriers of which no part has come for long.
SELECT p.carrier, p.key FROM parts p
WHERE p.due_at <= $1::float8 AND p.carrier = ANY($2::text[]) AND p.octets IS NOT NULL AND NOT EXISTS (
  SELECT FROM parts q WHERE q.carrier = p.carrier AND q.key = p.key AND q.octets IS NOT NULL AND q.due_at > $1::float8)
GROUP BY p.carrier, p.key LIMIT $3::int

-- name: forget_parts
DELETE FROM parts WHERE octets IS NULL AND due_at < $1::float8

-- name: insert_inbound_refs
INSERT INTO inbound_refs (carrier, ref, at)
SELECT * FROM unnest($1::text[], $2::bytea[], $3::float8[]) ON CONFLICT DO NOTHING RETURNING carrier, ref

-- name: put_inbound_refs
INSERT INTO inbound_refs (carrier, ref, at)
SELECT * FROM unnest($1::text[], $2::bytea[], $3::float8[]) ON CONFLICT (carrier, ref) DO UPDATE SET at = excluded.at

-- name: take_doubts
DELETE FROM inbound_refs r USING unnest($1::text[], $2::bytea[], $3::float8[]) AS v (carrier, ref, since)
WHERE r.carrier = v.carrier AND r.ref = v.ref AND r.at > v.since RETURNING r.carrier, r.ref

-- name: doubt_told
-- The answers of a node that has ended may not have arrived. What is older than a minute is not looked at.
WITH told AS (
  DELETE FROM inbound_refs WHERE at > (SELECT max(at) FROM inbound_refs) - 75 AND ref LIKE $1::bytea
  RETURNING carrier, ref, at)
INSERT INTO inbound_refs (carrier, ref, at)
SELECT carrier, '!'::bytea || substring(ref FROM 2 FOR position('@'::bytea IN ref) - 2), at FROM told
ON CONFLICT (carrier, ref) DO UPDATE SET at = excluded.at

-- name: expire_told
DELETE FROM inbound_refs WHERE at < $1::float8 AND ref >= '='::bytea AND ref < '>'::bytea

-- name: expire_doubts
DELETE FROM inbound_refs WHERE at < $1::float8 AND ref >= '!'::bytea AND ref < '"'::bytea

-- name: expire_inbound_refs
DELETE FROM inbound_refs WHERE at < $1::float8

-- name: first_lock
-- One node at a time makes rows of limits: by their keys they may be there twice.
SELECT pg_advisory_xact_lock(1885500004)

-- name: hold_queues
-- Lock queues, in the order given, and read them: the version with the highest turn is the one that is not over.
SELECT q.account, q.kind, q.turn, q.queued FROM unnest($1::text[], $2::smallint[]) AS v (account, kind)
CROSS JOIN LATERAL (
  SELECT * FROM queues x WHERE x.account = v.account AND x.kind = v.kind ORDER BY x.turn DESC LIMIT 1 FOR UPDATE) AS q

-- name: insert_queues
INSERT INTO queues (account, kind, turn, queued) SELECT v.account, v.kind, 0, 0 FROM unnest($1::text[], $2::smallint[]) AS v (account, kind)
WHERE NOT EXISTS (SELECT FROM queues x WHERE x.account = v.account AND x.kind = v.kind OFFSET 0)

-- name: put_queues
UPDATE queues q SET turn = q.turn + 1, queued = v.queued
FROM unnest($1::text[], $2::smallint[], $3::bigint[], $4::int[]) AS v (account, kind, turn, queued)
CROSS JOIN LATERAL (
  SELECT x.ctid AS tid FROM queues x WHERE x.account = v.account AND x.kind = v.kind AND x.turn = v.turn OFFSET 0) AS held
WHERE q.ctid = held.tid

-- name: hold_paces
-- The same with what is used up of rates.
SELECT q.account, q.key, q.turn, q.used_at FROM unnest($1::text[], $2::text[]) AS v (account, key)
CROSS JOIN LATERAL (
  SELECT * FROM paces x WHERE x.account = v.account AND x.key = v.key ORDER BY x.turn DESC LIMIT 1 FOR UPDATE) AS q

-- name: insert_paces
INSERT INTO paces (account, key, turn, used_at) SELECT v.account, v.key, 0, 0 FROM unnest($1::text[], $2::text[]) AS v (account, key)
WHERE NOT EXISTS (SELECT FROM paces x WHERE x.account = v.account AND x.key = v.key OFFSET 0)

-- name: put_paces
UPDATE paces q SET turn = q.turn + 1, used_at = v.used_at
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::float8[]) AS v (account, key, turn, used_at)
CROSS JOIN LATERAL (
  SELECT x.ctid AS tid FROM paces x WHERE x.account = v.account AND x.key = v.key AND x.turn = v.turn OFFSET 0) AS held
WHERE q.ctid = held.tid

-- name: lease_recipients
UPDATE recipients r SET node = $1::int WHERE r.ctid = ANY(ARRAY(
  SELECT x.ctid FROM recipients x
  WHERE x.node = 0 AND x.state = 0 AND x.carrier = $2::text AND x.account = $3::text AND x.high = $4::int
    AND x.due_at <= $5::float8
  ORDER BY x.id, x.n LIMIT $6::int FOR UPDATE SKIP LOCKED))
RETURNING {recipient}

-- name: lease_callbacks
UPDATE callbacks c SET node = $1::int WHERE c.ctid = ANY(ARRAY(
  SELECT x.ctid FROM callbacks x
  WHERE x.node = 0 AND x.account = $2::text AND x.application = $3::bytea AND x.direction = $4::text
    AND x.due_at <= $5::float8
  ORDER BY x.due_at LIMIT $6::int FOR UPDATE SKIP LOCKED))
RETURNING {callback}

-- name: lease_untried_callbacks
UPDATE callbacks c SET node = $1::int WHERE c.ctid = ANY(ARRAY(
  SELECT x.ctid FROM callbacks x
  WHERE x.node = 0 AND x.account = $2::text AND x.application = $3::bytea AND x.direction = $4::text
    AND (x.tried_at IS NULL OR x.tried_at < $5::float8)
  ORDER BY x.due_at LIMIT $6::int FOR UPDATE SKIP LOCKED))
RETURNING {callback}

-- name: hurry_endpoint
UPDATE callbacks c SET due_at = $1::float8 WHERE c.ctid = ANY(ARRAY(
  SELECT x.ctid FROM callbacks x
  WHERE x.node = 0 AND x.account = $2::text AND x.application = $3::bytea AND x.direction = $4::text
    AND x.due_at > $1::float8 AND (x.tried_at IS NULL OR x.tried_at <= $1::float8)
  ORDER BY x.due_at LIMIT $5::int FOR UPDATE SKIP LOCKED))
RETURNING 1

-- name: hurry_callback
UPDATE callbacks SET due_at = $1::float8
WHERE account = $2::text AND id = $3::text AND n = $4::int AND slot = $5::int AND kind = $6::text AND node = 0
  AND due_at > $1::float8 AND (tried_at IS NULL OR tried_at <= $1::float8)
RETURNING 1

-- name: release_recipients
UPDATE recipients r SET node = 0
FROM unnest($1::text[], $2::text[], $3::smallint[]) AS v (account, id, n)
CROSS JOIN LATERAL (
  SELECT x.ctid AS tid FROM recipients x
  WHERE x.account = v.account AND x.id = v.id AND x.n = v.n AND x.node = $4::int AND x.state = 0 OFFSET 0) AS held
WHERE r.ctid = held.tid AND r.node = $4::int AND r.state = 0

-- name: release_callbacks
UPDATE callbacks c SET node = 0
FROM unnest($1::text[], $2::text[], $3::smallint[], $4::smallint[]) AS v (account, id, n, slot)
CROSS JOIN LATERAL (
  SELECT x.ctid AS tid FROM callbacks x
  WHERE x.account = v.account AND x.id = v.id AND x.n = v.n AND x.slot = v.slot AND x.node = $5::int OFFSET 0) AS held
WHERE c.ctid = held.tid AND c.node = $5::int

-- name: bury_recipients
-- By ctid alone, which is half the work of finding them by their keys. A row that has moved is left, and is found again.
UPDATE recipients SET node = 0 WHERE ctid = ANY($1::text[]::tid[]) AND node = $2::int AND state = 0

-- name: bury_callbacks
UPDATE callbacks SET node = 0 WHERE ctid = ANY($1::text[]::tid[]) AND node = $2::int

-- name: insert_history
INSERT INTO history ({history}) SELECT * FROM unnest({history_arrays}) ON CONFLICT DO NOTHING

-- name: expire_history
DELETE FROM history WHERE received_at < $1::float8

-- name: expire_callbacks
DELETE FROM callbacks c WHERE c.ctid = ANY(ARRAY(
  SELECT x.ctid FROM callbacks x WHERE x.node + 0 = 0 AND x.expires_at <= $1::float8
  ORDER BY x.expires_at LIMIT $2::int FOR UPDATE SKIP LOCKED))
RETURNING {callback}

-- name: expire_receipts
-- Handed recipients whose receipts did not come.
DELETE FROM recipients r WHERE r.ctid = ANY(ARRAY(
  SELECT x.ctid FROM recipients x WHERE x.state + 0 = 1 AND x.deadline_at <= $1::float8
  ORDER BY x.deadline_at LIMIT $2::int FOR UPDATE SKIP LOCKED))
RETURNING r.enough, {recipient}

-- name: expire_retries
-- Free recipients that found no carrier within the retry window. Account by account, and only identifiers older than that
-- are looked at, so the scan ends where those begin that may wait.
WITH RECURSIVE accounts AS (
  SELECT min(account) AS account FROM recipients
  UNION ALL
  SELECT (SELECT min(r.account) FROM recipients r WHERE r.account > a.account) FROM accounts a
  WHERE a.account IS NOT NULL
)
DELETE FROM recipients r WHERE r.ctid = ANY(ARRAY(
  SELECT due.tid FROM accounts a CROSS JOIN LATERAL (
    SELECT x.ctid AS tid FROM recipients x
    WHERE x.account = a.account AND x.id < $1::text AND x.state = 0 AND x.node = 0
    ORDER BY x.id LIMIT $2::int FOR UPDATE SKIP LOCKED) AS due))
RETURNING {recipient}

-- name: insert_node
INSERT INTO nodes (host, pid, level, started_at, beat_at)
VALUES ($1::text, $2::int, $3::int, clock_timestamp(), clock_timestamp()) RETURNING node

-- name: beat
UPDATE nodes SET beat_at = clock_timestamp() WHERE node = $1::int AND NOT given_up RETURNING node

-- name: node_lives
-- Whoever gives a node up waits for the transactions in which it was alive, and so sees all that they leased.
SELECT node FROM nodes WHERE node = $1::int AND NOT given_up FOR SHARE

-- name: expect_node_lives
SELECT passband_expect(count(*) = 1)
FROM (SELECT FROM nodes WHERE node = $1::int AND NOT given_up FOR SHARE) AS alive

-- name: give_up_node
UPDATE nodes SET given_up = true WHERE node = $1::int AND NOT given_up

-- name: delete_node
DELETE FROM nodes WHERE node = $1::int

-- name: slots_lock
-- One node at a time takes slots.
SELECT pg_advisory_xact_lock(1885500003)

-- name: held_slots
-- Every living node, with each slot of a carrier that it holds.
SELECT n.node, s.slot FROM nodes n LEFT JOIN slots s ON s.carrier = $1::text AND s.node = n.node WHERE NOT n.given_up

-- name: lease_slots
INSERT INTO slots (carrier, slot, node) SELECT $1::text, slot, $3::int FROM unnest($2::int[]) AS v (slot)
ON CONFLICT (carrier, slot) DO UPDATE SET node = excluded.node

-- name: release_slots
DELETE FROM slots WHERE carrier = $1::text AND slot = ANY($2::int[]) AND node = $3::int

-- name: release_slots_of_node
DELETE FROM slots WHERE node = $1::int

-- name: next_version
-- Nothing changes if somebody else was first.
UPDATE provisioning SET version = version + 1 WHERE version = $1::int RETURNING version

-- name: put_provisions
INSERT INTO provisioned (account, kind, name, value) SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
ON CONFLICT (account, kind, name) DO UPDATE SET value = excluded.value

-- name: remove_provisions
DELETE FROM provisioned p USING unnest($1::text[], $2::text[], $3::text[]) AS v (account, kind, name)
WHERE p.account = v.account AND p.kind = v.kind AND p.name = v.name
