-- Revenue per restaurant and day as it is now: every order, correction and cancellation moves it within seconds.
-- owner: finance
-- live: true
SELECT o.restaurant_id, r.city, CAST(o.placed_at AS DATE) AS day,
  SUM(CASE WHEN o.status <> 'cancelled' THEN o.total ELSE 0 END) AS revenue,
  COUNT_IF(o.status <> 'cancelled') AS orders, COUNT_IF(o.status = 'cancelled') AS cancelled
FROM orders o JOIN restaurants r ON r.id = o.restaurant_id
GROUP BY o.restaurant_id, r.city, CAST(o.placed_at AS DATE)
