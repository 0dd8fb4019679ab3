-- Every statement of the SQLite engine that changes something. {recipient} and {callback} stand for the column lists of
-- rows.py.

-- name: insert_recipient
-- A recipient at its birth, queued.
INSERT INTO recipients ({recipient}, node, high, state) VALUES ({recipient?}, ?, ?, 0)

-- name: hand_over
-- The carrier has it. The text goes, and the code of earlier refusals; a lease that was lost changes nothing.
UPDATE recipients SET state = 1, text = '', code = 0, charge = 0, node = 0, carrier_ref = ?, ref_given = ?,
  deadline_at = ?
WHERE account = ? AND id = ? AND n = ? AND node = ? AND state = 0

-- name: hand_over_unanswered
-- The carrier has it and owes an answer, which may be to come again: the text stays. All references are in segments.
UPDATE recipients SET state = 1, code = ?, charge = 0, node = 0, deadline_at = ?
WHERE account = ? AND id = ? AND n = ? AND node = ? AND state = 0

-- name: hand_over_answered
-- The answer has come, receipts are awaited from now on.
UPDATE recipients SET code = 0, text = '', deadline_at = ? WHERE account = ? AND id = ? AND n = ? AND state = 1

-- name: requeue
UPDATE recipients SET due_at = ?, attempts = ?, code = ?, node = 0
WHERE account = ? AND id = ? AND n = ? AND node = ? AND state = 0

-- name: requeue_handed
-- The carrier's answer is to come again. Every node may record it, so the row waits free for any.
UPDATE recipients SET state = 0, due_at = ?, attempts = ?, code = ?, carrier_ref = NULL, ref_given = NULL,
  deadline_at = NULL
WHERE account = ? AND id = ? AND n = ? AND state = 1

-- name: announce
UPDATE recipients SET announced = 1
WHERE account = ? AND id = ? AND n = ? AND node = ? AND state = 0 AND announced = 0

-- name: settle_leased
DELETE FROM recipients WHERE account = ? AND id = ? AND n = ? AND node = ? AND state = 0

-- name: handed_by_ref
-- The newest handed recipient known to the carrier by this reference, if the number is right.
SELECT carrier_ref, {recipient} FROM recipients WHERE carrier = ? AND carrier_ref = ? AND number = ?
ORDER BY id DESC LIMIT 1

-- name: segment_by_ref
SELECT s.account, s.id, s.n, s.segment, s.deciding FROM segments s JOIN recipients r USING (account, id, n)
WHERE s.carrier = ? AND s.ref = ? AND r.number = ? ORDER BY s.id DESC LIMIT 1

-- name: handed_by_pair
-- Handed recipients known to the carrier by this reference, which several may have: two are too many.
SELECT account, id, n FROM recipients WHERE carrier = ? AND carrier_ref = ? AND number = ? LIMIT 2

-- name: segments_by_pair
SELECT s.account, s.id, s.n FROM segments s JOIN recipients r USING (account, id, n)
WHERE s.carrier = ? AND s.ref = ? AND r.number = ?

-- name: note_unclear
-- What a handed recipient fails with when the window is over. What is noted stays; so does the answer that is owed.
UPDATE recipients SET code = ? WHERE account = ? AND id = ? AND n = ? AND state = 1 AND code = 0

-- name: handed_by_answer
-- All handed recipients known to the carrier by this reference; an answer may not name them.
SELECT {recipient} FROM (SELECT account, id, n FROM segments WHERE carrier = ? AND ref = ?)
CROSS JOIN recipients USING (account, id, n) WHERE state = 1

-- name: next_segment
SELECT coalesce(max(segment), -1) + 1 FROM segments WHERE account = ? AND id = ? AND n = ?

-- name: delete_segment
DELETE FROM segments WHERE account = ? AND id = ? AND n = ? AND segment = ?

-- name: open_segments
SELECT count(*) FROM segments WHERE account = ? AND id = ? AND n = ?

-- name: mark_segments
-- One was delivered: enough when the receipt window is over.
UPDATE segments SET deciding = 3 WHERE account = ? AND id = ? AND n = ? AND deciding = 1

-- name: marked_segments
SELECT 1 FROM segments WHERE account = ? AND id = ? AND n = ? AND deciding = 3 LIMIT 1

-- name: delete_segments
DELETE FROM segments WHERE account = ? AND id = ? AND n = ?

-- name: insert_segment
INSERT OR REPLACE INTO segments (account, id, n, segment, carrier, ref, deciding, ref_given)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: settle_handed
DELETE FROM recipients WHERE account = ? AND id = ? AND n = ? AND state = 1 RETURNING {recipient}

-- name: delete_handed
DELETE FROM recipients WHERE account = ? AND id = ? AND n = ? AND state = 1

-- name: insert_callback
-- An event at its birth. A terminal event of a recipient that has one already is not kept.
INSERT INTO callbacks ({callback}, node) VALUES ({callback?}, ?) ON CONFLICT (account, id, n, slot) DO NOTHING

-- name: delete_callback
DELETE FROM callbacks WHERE account = ? AND id = ? AND n = ? AND slot = ? AND node = ?

-- name: retry_callback
UPDATE callbacks SET due_at = ?, attempts = ?, tried_at = ?, node = 0
WHERE account = ? AND id = ? AND n = ? AND slot = ? AND node = ?

-- name: any_orphan
SELECT 1 FROM orphans UNION ALL SELECT 1 FROM early_answers LIMIT 1

-- name: insert_orphan
INSERT OR IGNORE INTO orphans (receipt, carrier, ref, number, code, at) VALUES (?, ?, ?, ?, ?, ?)

-- name: orphans_by_ref
SELECT receipt, code FROM orphans WHERE carrier = ? AND ref = ? AND number = ? AND at >= ? ORDER BY at LIMIT 1

-- name: insert_early_answer
INSERT OR REPLACE INTO early_answers (carrier, ref, numbers, outcome, at) VALUES (?, ?, ?, ?, ?)

-- name: early_answers_by_ref
-- They stay until they are too old: an answer may concern recipients that are handed over one after the other.
SELECT numbers, outcome FROM early_answers WHERE carrier = ? AND ref = ?

-- name: expire_early_answers
DELETE FROM early_answers WHERE at < ?

-- name: delete_orphan
DELETE FROM orphans WHERE receipt = ?

-- name: expire_orphans
DELETE FROM orphans WHERE at < ? RETURNING carrier, receipt

-- name: part_digest
SELECT digest FROM parts WHERE carrier = ? AND key = ? AND sequence = ?

-- name: insert_part
INSERT INTO parts (carrier, key, sequence, total, digest, octets, data_coding, ports, sender, number, due_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: count_parts
SELECT count(*) FROM parts WHERE carrier = ? AND key = ? AND octets IS NOT NULL

-- name: parts_to_join
SELECT carrier, key, sequence, total, octets, data_coding, sender, number, ports = 1 FROM parts
WHERE carrier = ? AND key = ? AND octets IS NOT NULL ORDER BY sequence

-- name: parts_joined
-- Text and numbers go; the digests stay for a while, to know repeats.
UPDATE parts SET octets = NULL, sender = '', number = '', due_at = ? WHERE carrier = ? AND key = ? AND octets IS NOT NULL

-- name: delete_parts
DELETE FROM parts WHERE carrier = ? AND key = ?

-- name: due_parts
-- Keys of one carrier of which no part has come for long.
SELECT key FROM parts p WHERE due_at <= ?1 AND carrier = ?2 AND octets IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM parts q WHERE q.carrier = p.carrier AND q.key = p.key AND q.octets IS NOT NULL AND q.due_at > ?1)
GROUP BY key LIMIT ?3

-- name: forget_parts
DELETE FROM parts WHERE octets IS NULL AND due_at < ?

-- name: insert_inbound_ref
INSERT OR IGNORE INTO inbound_refs (carrier, ref, at) VALUES (?, ?, ?)

-- name: put_inbound_ref
INSERT OR REPLACE INTO inbound_refs (carrier, ref, at) VALUES (?, ?, ?)

-- name: take_doubt
DELETE FROM inbound_refs WHERE carrier = ? AND ref = ? AND at > ?

-- name: doubt_told
-- The answers of a node that has ended may not have arrived. What is older than a minute is not looked at.
UPDATE OR REPLACE inbound_refs SET ref = '!' || substr(ref, 2, instr(ref, '@') - 2)
WHERE at > (SELECT max(at) FROM inbound_refs) - 75 AND ref LIKE ?

-- name: expire_told
DELETE FROM inbound_refs WHERE at < ? AND ref >= '=' AND ref < '>'

-- name: expire_doubts
DELETE FROM inbound_refs WHERE at < ? AND ref >= '!' AND ref < '"'

-- name: expire_inbound_refs
DELETE FROM inbound_refs WHERE at < ?

-- name: charge_queue
-- Add to a queue; nothing changes if it would hold more than its capacity.
INSERT INTO queues (account, kind, queued) VALUES (?1, ?2, ?3)
ON CONFLICT (account, kind) DO UPDATE SET queued = queued + ?3 WHERE queued + ?3 <= ?4

-- name: discharge_queue
UPDATE queues SET queued = max(0, queued - ?) WHERE account = ? AND kind = ?

-- name: get_pace
SELECT used_at FROM paces WHERE account = ? AND key = ?

-- name: put_pace
INSERT INTO paces (account, key, used_at) VALUES (?, ?, ?)
ON CONFLICT (account, key) DO UPDATE SET used_at = excluded.used_at

-- name: lease_recipients
UPDATE recipients SET node = ? WHERE (account, id, n) IN (
  SELECT account, id, n FROM recipients
  WHERE node = 0 AND state = 0 AND carrier = ? AND account = ? AND high = ? AND due_at <= ?
  ORDER BY id, n LIMIT ?)
RETURNING {recipient}

-- name: lease_callbacks
UPDATE callbacks SET node = ? WHERE (account, id, n, slot) IN (
  SELECT account, id, n, slot FROM callbacks
  WHERE node = 0 AND account = ? AND application = ? AND direction = ? AND due_at <= ?
  ORDER BY due_at LIMIT ?)
RETURNING {callback}

-- name: lease_untried_callbacks
UPDATE callbacks SET node = ? WHERE (account, id, n, slot) IN (
  SELECT account, id, n, slot FROM callbacks
  WHERE node = 0 AND account = ? AND application = ? AND direction = ? AND (tried_at IS NULL OR tried_at < ?)
  ORDER BY due_at LIMIT ?)
RETURNING {callback}

-- name: hurry_endpoint
UPDATE callbacks SET due_at = ?1 WHERE (account, id, n, slot) IN (
  SELECT account, id, n, slot FROM callbacks
  WHERE node = 0 AND account = ?2 AND application = ?3 AND direction = ?4 AND due_at > ?1
    AND (tried_at IS NULL OR tried_at <= ?1)
  ORDER BY due_at LIMIT ?5)

-- name: hurry_callback
UPDATE callbacks SET due_at = ?1
WHERE account = ?2 AND id = ?3 AND n = ?4 AND slot = ?5 AND kind = ?6 AND node = 0 AND due_at > ?1
  AND (tried_at IS NULL OR tried_at <= ?1)

-- name: release_recipient
UPDATE recipients SET node = 0 WHERE account = ? AND id = ? AND n = ? AND node = ? AND state = 0

-- name: release_callback
UPDATE callbacks SET node = 0 WHERE account = ? AND id = ? AND n = ? AND slot = ? AND node = ?

-- name: insert_history
INSERT OR REPLACE INTO history (account, id, n, direction, source, destination, status, kind, segment_count, code,
  received_at, carrier, length, attachments, recipients) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: expire_history
DELETE FROM history WHERE received_at < ?

-- name: expire_callbacks
DELETE FROM callbacks WHERE (account, id, n, slot) IN (
  SELECT account, id, n, slot FROM callbacks WHERE node = 0 AND expires_at <= ? LIMIT ?)
RETURNING {callback}

-- name: expire_receipt
-- A handed recipient whose receipts did not come, if that is still so.
DELETE FROM recipients WHERE account = ? AND id = ? AND n = ? AND state = 1 AND deadline_at <= ? RETURNING {recipient}

-- name: expire_retry
-- A free recipient that found no carrier within the retry window, if that is still so.
DELETE FROM recipients WHERE account = ? AND id = ? AND n = ? AND state = 0 AND node = 0 RETURNING {recipient}

-- name: insert_node
INSERT INTO nodes (host, pid, level, started_at, beat_at) VALUES (?, ?, ?, ?, ?) RETURNING node

-- name: beat
UPDATE nodes SET beat_at = ? WHERE node = ? AND beat_at > 0

-- name: node_lives
SELECT 1 FROM nodes WHERE node = ? AND beat_at > 0

-- name: give_up_node
UPDATE nodes SET beat_at = 0 WHERE node = ? AND beat_at > 0

-- name: delete_node
DELETE FROM nodes WHERE node = ?

-- name: held_slots
-- Every living node, with each slot of a carrier that it holds.
SELECT nodes.node, slot FROM nodes LEFT JOIN slots ON carrier = ? AND slots.node = nodes.node WHERE beat_at > 0

-- name: lease_slot
INSERT INTO slots (carrier, slot, node) VALUES (?, ?, ?) ON CONFLICT (carrier, slot) DO UPDATE SET node = excluded.node

-- name: release_slot
DELETE FROM slots WHERE carrier = ? AND slot = ? AND node = ?

-- name: release_slots_of_node
DELETE FROM slots WHERE node = ?

-- name: next_version
-- Nothing changes if somebody else was first.
UPDATE provisioning SET version = version + 1 WHERE version = ?

-- name: put_provision
INSERT INTO provisioned (account, kind, name, value) VALUES (?, ?, ?, ?)
ON CONFLICT (account, kind, name) DO UPDATE SET value = excluded.value

-- name: remove_provision
DELETE FROM provisioned WHERE account = ? AND kind = ? AND name = ?
