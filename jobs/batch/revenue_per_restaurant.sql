-- Revenue per restaurant and day.
-- owner: finance
-- schedule: @hourly
SELECT restaurant_id, CAST(placed_at AS DATE) AS day, SUM(total) AS revenue, COUNT(*) AS orders
FROM orders GROUP BY restaurant_id, CAST(placed_at AS DATE)
