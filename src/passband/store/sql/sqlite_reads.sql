-- What the SQLite engine reads beside the path of the messages.

-- name: nodes
SELECT node, host, pid, beat_at FROM nodes

-- name: held_recipients
SELECT account, id, n FROM recipients WHERE node = ? AND state = 0

-- name: held_callbacks
SELECT account, id, n, slot FROM callbacks WHERE node = ?

-- name: next_high
-- The next line of free recipients with the same carrier and account; then of the same carrier; then of any. Three
-- statements, because one that compares all three columns at once walks through the whole line that it is to leave.
SELECT carrier, account, high FROM recipients
WHERE node = 0 AND state = 0 AND carrier = ?1 AND account = ?2 AND high > ?3 ORDER BY high LIMIT 1

-- name: next_account
SELECT carrier, account, high FROM recipients
WHERE node = 0 AND state = 0 AND carrier = ?1 AND account > ?2 ORDER BY account, high LIMIT 1

-- name: next_carrier
SELECT carrier, account, high FROM recipients
WHERE node = 0 AND state = 0 AND carrier > ?1 ORDER BY carrier, account, high LIMIT 1

-- name: due_in_line
SELECT 1 FROM recipients
WHERE node = 0 AND state = 0 AND carrier = ? AND account = ? AND high = ? AND due_at <= ? LIMIT 1

-- name: next_direction
-- The next endpoint of free callbacks, with its earliest due moment: of the same account and application; then of the
-- same account; then of any.
SELECT account, application, direction, due_at FROM callbacks
WHERE node = 0 AND account = ?1 AND application = ?2 AND direction > ?3 ORDER BY direction, due_at LIMIT 1

-- name: next_application
SELECT account, application, direction, due_at FROM callbacks
WHERE node = 0 AND account = ?1 AND application > ?2 ORDER BY application, direction, due_at LIMIT 1

-- name: next_owner
SELECT account, application, direction, due_at FROM callbacks
WHERE node = 0 AND account > ?1 ORDER BY account, application, direction, due_at LIMIT 1

-- name: overdue_receipts
-- Handed recipients of one account whose receipts did not come. Only identifiers older than the shortest window are
-- looked at, so the scan ends where the waiting ones begin.
SELECT account, id, n FROM recipients WHERE account = ? AND id < ? AND state = 1 AND deadline_at <= ? LIMIT ?

-- name: overdue_retries
-- Free recipients of one account that found no carrier within the retry window.
SELECT account, id, n FROM recipients WHERE account = ? AND id < ? AND state = 0 AND node = 0 LIMIT ?

-- name: accounts
-- One step of a skip scan over the accounts that have recipients.
SELECT min(account) FROM recipients WHERE account > ?

-- name: node_states
-- Every node, with how many recipients and callbacks it holds.
SELECT node, host, pid, started_at, CASE beat_at WHEN 0 THEN 9e999 ELSE ? - beat_at END,
  coalesce(r.held, 0), coalesce(c.held, 0)
FROM nodes
LEFT JOIN (SELECT node, count(*) AS held FROM recipients WHERE node <> 0 AND state = 0 GROUP BY node) AS r USING (node)
LEFT JOIN (SELECT node, count(*) AS held FROM callbacks WHERE node <> 0 GROUP BY node) AS c USING (node)
ORDER BY node

-- name: leased_slots
SELECT node, carrier, slot FROM slots ORDER BY carrier, slot

-- name: provisioned
-- Everything, unless it is still the version that is known; without entries one row that has none.
SELECT version, account, kind, name, value FROM provisioning LEFT JOIN provisioned ON true
WHERE version IS NOT ? ORDER BY account, kind, name

-- name: carrier_refs
-- What carriers call the segments of a message whose receipts are awaited, as they gave it.
SELECT n, number, NULL AS segment, coalesce(ref_given, carrier_ref) FROM recipients
WHERE account = ?1 AND id = ?2 AND coalesce(ref_given, carrier_ref) <> ''
UNION ALL
SELECT n, r.number, segment, coalesce(s.ref_given, s.ref) FROM segments s JOIN recipients r USING (account, id, n)
WHERE s.account = ?1 AND s.id = ?2 AND coalesce(s.ref_given, s.ref) <> ''
ORDER BY n, segment

-- name: depths
SELECT carrier, sum(state = 0), sum(state = 1), min(CASE state WHEN 0 THEN CAST(substr(id, 1, 13) AS REAL) / 1000 END)
FROM recipients GROUP BY carrier

-- name: oldest_callback
SELECT min(at) FROM callbacks

-- name: search
-- Everything of one account that can be found, alive or in the history; a query over it follows. A recipient with a
-- terminal event has no row in recipients any more, so each is found once.
WITH found AS (
  SELECT id, account, n, sender AS source, number AS destination,
    CASE state WHEN 1 THEN 'SENDING' ELSE 'QUEUED' END AS status, 'out' AS direction, kind, segment_count, 0 AS code,
    CAST(substr(id, 1, 13) AS REAL) / 1000 AS received_at, carrier, length,
    coalesce(json_array_length(media), 0) AS attachments,
    coalesce(length(everyone) - length(replace(everyone, ',', '')), 0) + 1 AS recipients
  FROM recipients WHERE account = ?
  UNION ALL
  SELECT id, account, n, sender, number,
    CASE kind WHEN 'message-received' THEN 'SENDING' WHEN 'message-delivered' THEN 'DELIVERED'
      ELSE CASE receipted WHEN 1 THEN 'UNDELIVERED' ELSE 'FAILED' END END,
    direction, message_kind, segment_count, code, created_at, carrier, length,
    coalesce(json_array_length(media), 0),
    coalesce(length(everyone) - length(replace(everyone, ',', '')), 0) + 1
  FROM callbacks WHERE account = ? AND slot = 2
  UNION ALL
  SELECT id, account, n, source, destination, status, direction, kind, segment_count, code, received_at, carrier,
    length, attachments, recipients
  FROM history WHERE account = ?
)
