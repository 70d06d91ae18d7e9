-- Revenue per restaurant and day as it is now: every order, correction, cancellation and refund moves it within seconds.
-- owner: finance
-- live: true
SELECT o.restaurant_id, r.city, CAST(o.placed_at AS DATE) AS day,
  SUM(CASE WHEN o.status <> 'cancelled' THEN o.total - o.refunded ELSE 0 END) AS revenue, SUM(o.refunded) AS refunded,
  COUNT_IF(o.status <> 'cancelled') AS orders, COUNT_IF(o.status = 'cancelled') AS cancelled,
  COUNT(DISTINCT o.customer_id) AS customers
FROM orders o JOIN restaurants r ON r.id = o.restaurant_id
GROUP BY o.restaurant_id, r.city, CAST(o.placed_at AS DATE)
