SELECT account_id, window_end, COUNT(*) AS failures FROM TABLE(HOP(TABLE payments_changes, DESCRIPTOR(event_time), INTERVAL '10' SECOND, INTERVAL '2' MINUTE)) WHERE status = 'failed' GROUP BY account_id, window_start, window_end
WITH steps AS (SELECT id AS order_id, status FROM orders_changes) SELECT s.order_id, s.status FROM steps s
SELECT p.id, o.totals FROM payments_changes p JOIN (SELECT id, SUM(total) totals FROM orders_changes GROUP BY id) o ON o.id = p.order_id
SELECT * FROM payments_changes MATCH_RECOGNIZE (PARTITION BY account_id ORDER BY event_time MEASURES A.id AS first_id, LAST(B.amount) AS amounts ONE ROW PER MATCH AFTER MATCH SKIP PAST LAST ROW PATTERN (A B{2,} C?) WITHIN INTERVAL '1' HOUR DEFINE A AS A.status = 'failed', B AS B.status = 'failed', C AS C.amount > 1) AS m
SELECT TIMESTAMPDIFF(SECOND, event_time, appended_at), EXTRACT(hour FROM event_time), CEIL(event_time TO day) FROM payments_changes
SELECT accounts FROM (SELECT COUNT(account_id) AS accounts FROM payments_changes)
SELECT t.methods FROM payments_changes, LATERAL TABLE(split(method)) AS t(methods)
SELECT amounts.x FROM unknown_changes amounts WHERE stauts = 1
SELECT orders_changes.total, `method`, CAST(amount AS DOUBLE) amount2 FROM payments_changes, orders_changes
SELECT statuses['a'] FROM (SELECT MAP['a', status] AS statuses FROM orders_changes)
SELECT JSON_VALUE(method, '$.a' RETURNING STRING), CURRENT_WATERMARK(event_time), PROCTIME() FROM payments_changes
SELECT id, ROW_NUMBER() OVER w AS n FROM orders_changes WINDOW w AS (PARTITION BY status ORDER BY event_time);
