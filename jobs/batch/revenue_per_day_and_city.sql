-- Revenue per day and city, cancelled orders apart, with the share of it that loyalty members bring.
-- owner: finance
SELECT CAST(o.placed_at AS DATE) AS day, r.city,
  SUM(CASE WHEN o.status <> 'cancelled' THEN o.total ELSE 0 END) AS revenue,
  SUM(CASE WHEN o.status <> 'cancelled' AND l.tier IN ('silver', 'gold') THEN o.total ELSE 0 END) AS members_revenue,
  SUM(CASE WHEN o.status = 'cancelled' THEN o.total ELSE 0 END) AS cancelled,
  COUNT(*) AS orders, COUNT(DISTINCT o.customer_id) AS customers
FROM orders o
JOIN restaurants r ON r.id = o.restaurant_id
LEFT JOIN loyalty_accounts l ON l.account_id = o.customer_id
GROUP BY CAST(o.placed_at AS DATE), r.city
