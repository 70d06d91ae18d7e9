-- What was given back of each restaurant's day, refunds that were taken back apart: revenue_now less this is what stays.
-- owner: finance
-- live: true
SELECT o.restaurant_id, CAST(o.placed_at AS DATE) AS day, SUM(f.amount) AS refunded, COUNT(*) AS refunds
FROM refunds f JOIN orders o ON o.id = f.order_id
GROUP BY o.restaurant_id, CAST(o.placed_at AS DATE)
