-- What the PostgreSQL engine reads beside the path of the messages.

-- name: nodes
-- Every node, and for how long it has been silent by the database's clock; and what that says.
SELECT node, host, pid, CASE WHEN given_up THEN 'Infinity' ELSE extract(epoch FROM clock_timestamp() - beat_at) END::float8,
  extract(epoch FROM clock_timestamp())::float8
FROM nodes ORDER BY node

-- name: held_recipients
SELECT ctid::text FROM recipients WHERE node = $1::int AND state = 0

-- name: held_callbacks
SELECT ctid::text FROM callbacks WHERE node = $1::int

-- name: lines
-- Skip from line to line through the index of free recipients: the cost grows with the lines only.
WITH RECURSIVE lines AS (
  (SELECT carrier, account, high FROM recipients WHERE node = 0 AND state = 0 ORDER BY carrier, account, high LIMIT 1)
  UNION ALL
  SELECT next.carrier, next.account, next.high FROM lines l CROSS JOIN LATERAL (
    SELECT r.carrier, r.account, r.high FROM recipients r
    WHERE r.node = 0 AND r.state = 0 AND (r.carrier, r.account, r.high) > (l.carrier, l.account, l.high)
    ORDER BY r.carrier, r.account, r.high LIMIT 1) AS next
)
SELECT l.carrier, l.account, l.high FROM lines l CROSS JOIN LATERAL (
  SELECT FROM recipients r
  WHERE r.node = 0 AND r.state = 0 AND r.carrier = l.carrier AND r.account = l.account AND r.high = l.high
    AND r.due_at <= $1::float8
  LIMIT 1) AS due

-- name: endpoints
-- Skip from endpoint to endpoint through the index of free callbacks, each with its earliest due moment.
WITH RECURSIVE endpoints AS (
  (SELECT account, application, direction, due_at FROM callbacks WHERE node = 0
   ORDER BY account, application, direction, due_at LIMIT 1)
  UNION ALL
  SELECT next.account, next.application, next.direction, next.due_at FROM endpoints e CROSS JOIN LATERAL (
    SELECT c.account, c.application, c.direction, c.due_at FROM callbacks c
    WHERE c.node = 0 AND (c.account, c.application, c.direction) > (e.account, e.application, e.direction)
    ORDER BY c.account, c.application, c.direction, c.due_at LIMIT 1) AS next
)
SELECT account, application, direction, due_at FROM endpoints

-- name: node_states
-- Every node, with how many recipients and callbacks it holds.
SELECT node, host, pid, extract(epoch FROM started_at)::float8,
  CASE WHEN given_up THEN 'Infinity' ELSE extract(epoch FROM clock_timestamp() - beat_at) END::float8,
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
WHERE version IS DISTINCT FROM $1::int ORDER BY account, kind, name

-- name: quiet_tables
-- Those of these tables that have dead rows, but too few for autovacuum to come.
SELECT relname::text FROM pg_stat_user_tables
WHERE relid = ANY(SELECT to_regclass(name)::oid FROM unnest($1::text[]) AS v (name)) AND n_dead_tup BETWEEN 1 AND 5000

-- name: carrier_refs
-- What carriers call the segments of a message whose receipts are awaited, as they gave it.
SELECT n, number, NULL::smallint AS segment, coalesce(ref_given, carrier_ref) FROM recipients
WHERE account = $1::text AND id = $2::text AND coalesce(ref_given, carrier_ref) <> ''::bytea
UNION ALL
SELECT n, number, segment, coalesce(ref_given, ref) FROM segments
WHERE account = $1::text AND id = $2::text AND coalesce(ref_given, ref) <> ''::bytea
ORDER BY n, segment

-- name: depths
SELECT carrier, count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 1),
  substr(min(id) FILTER (WHERE state = 0), 1, 13)
FROM recipients GROUP BY carrier

-- name: oldest_callback
SELECT min(at) FROM callbacks

-- name: search
-- Everything of one account that can be found, alive or in the history; a query over it follows. A recipient with a
-- terminal event has no row in recipients any more, so each is found once.
WITH found AS (
  SELECT id, account, n, sender AS source, number AS destination,
    CASE state WHEN 1 THEN 'SENDING' ELSE 'QUEUED' END AS status, 'out' AS direction, kind, segment_count, 0 AS code,
    substr(id, 1, 13)::float8 / 1000 AS received_at, carrier, length,
    coalesce(json_array_length(media::json), 0) AS attachments,
    coalesce(length(everyone) - length(replace(everyone, ',', '')), 0) + 1 AS recipients
  FROM recipients WHERE account = $1::text
  UNION ALL
  SELECT id, account, n, sender, number,
    CASE kind WHEN 'message-received' THEN 'SENDING' WHEN 'message-delivered' THEN 'DELIVERED'
      ELSE CASE receipted WHEN 1 THEN 'UNDELIVERED' ELSE 'FAILED' END END,
    direction, message_kind, segment_count, code, created_at, carrier, length,
    coalesce(json_array_length(media::json), 0),
    coalesce(length(everyone) - length(replace(everyone, ',', '')), 0) + 1
  FROM callbacks WHERE account = $1::text AND slot = 2
  UNION ALL
  SELECT id, account, n, source, destination, status, direction, kind, segment_count, code, received_at, carrier,
    length, attachments, recipients
  FROM history WHERE account = $1::text
)
