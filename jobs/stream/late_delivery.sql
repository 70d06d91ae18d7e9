-- Orders neither delivered nor cancelled within 60 seconds of being placed.
-- owner: logistics
-- key: order_id
-- severity: ticket
-- A session of an order begins when it is placed and ends after 60 seconds without news: it closes with the deadline. (The
-- outer half of a left interval join would come half an interval later.)
WITH steps AS (
  SELECT id AS order_id, status, event_time FROM orders_changes WHERE status IN ('placed', 'cancelled') AND op <> 'd'
  UNION ALL
  SELECT order_id, status, event_time FROM deliveries_changes WHERE status = 'delivered'
)
SELECT order_id, window_start AS placed_at, window_end AS due_at
FROM TABLE(SESSION(TABLE steps PARTITION BY order_id, DESCRIPTOR(event_time), INTERVAL '60' SECOND))
GROUP BY order_id, window_start, window_end
HAVING COUNT(*) FILTER (WHERE status = 'placed') > 0 AND COUNT(*) FILTER (WHERE status <> 'placed') = 0
