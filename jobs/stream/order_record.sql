-- One event per delivered order: its trip, delivery, payment and rating (NULL when none came within 10 seconds).
-- owner: logistics
-- key: order_id
-- topic: orders.completed
SELECT
  d.order_id, d.delivery_id, d.courier_id, d.event_time AS delivered_at, t.trip_id, t.event_time AS trip_finished_at,
  p.id AS payment_id, p.account_id, p.amount, p.`method`, r.stars, r.`comment`
FROM deliveries_changes AS d
LEFT JOIN ratings_changes AS r ON r.order_id = d.order_id
  AND r.event_time BETWEEN d.event_time - INTERVAL '10' SECOND AND d.event_time + INTERVAL '10' SECOND
JOIN trips_changes AS t ON t.order_id = d.order_id AND t.event = 'finished'
  AND t.event_time BETWEEN d.event_time - INTERVAL '2' MINUTE AND d.event_time + INTERVAL '2' MINUTE
JOIN payments_changes AS p ON p.order_id = d.order_id AND p.status = 'captured' AND p.op <> 'd'
  AND p.event_time BETWEEN d.event_time - INTERVAL '2' MINUTE AND d.event_time + INTERVAL '2' MINUTE
WHERE d.status = 'delivered'
