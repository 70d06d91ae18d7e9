SELECT restaurant_id, CAST(placed_at AS DATE) AS day, SUM(total) AS revenue, COUNT(*) AS orders FROM orders GROUP BY 1, 2
SELECT restaurant_id AS r, DATE_TRUNC('hour', placed_at) AS hour, AVG(total) AS mean FROM orders GROUP BY r, hour
SELECT COUNT(*) AS n, COUNT_IF(total > 5) AS large, COUNT(*) FILTER (WHERE status = 'draft') AS drafts FROM orders
SELECT account_id, CAST(COUNT_IF(status = 'captured') AS DOUBLE) / COUNT(*) AS rate FROM payments GROUP BY account_id
SELECT SUM(amount) - SUM(CASE WHEN status = 'failed' THEN amount ELSE 0 END) AS kept FROM payments HAVING COUNT(*) > 3
SELECT r.city, SUM(o.total) AS revenue FROM orders o JOIN restaurants r ON r.id = o.restaurant_id WHERE r.city <> 'Bern' GROUP BY r.city
SELECT CONCAT(r.city, '/', r.cuisine) AS kind, COUNT(*) AS n FROM orders o LEFT JOIN restaurants r ON o.restaurant_id = r.id GROUP BY 1
SELECT c.city, r.city AS other, COUNT(*) AS n FROM orders o JOIN customers c ON c.id = o.customer_id JOIN restaurants r ON r.id = o.restaurant_id GROUP BY c.city, r.city
SELECT status, MIN(occurred_at) AS first, MAX(occurred_at) AS last FROM deliveries GROUP BY status
SELECT status, SUM(TRY_CAST(i.quantity AS DECIMAL(9,0)) * i.price) AS sold FROM order_items i JOIN orders o ON o.id = i.order_id GROUP BY o.status
SELECT CAST(SUM(total) AS DOUBLE) / NULLIF(COUNT(total), 0) AS mean FROM orders
SELECT window(placed_at, '15 minutes').start AS quarter, COUNT(*) AS n FROM orders GROUP BY window(placed_at, '15 minutes').start;
(SELECT status, COUNT(*) AS n FROM orders GROUP BY status)
SELECT COUNT(NULL) AS none, COUNT_IF(NULL IS NULL) AS n FROM orders WHERE NULL = NULL OR status = NULL
SELECT restaurant_id, COUNT(DISTINCT customer_id) AS guests, COUNT(DISTINCT orders.customer_id) + 1 AS more FROM orders GROUP BY 1
SELECT r.city, COUNT(DISTINCT o.restaurant_id) AS restaurants FROM orders o JOIN restaurants r ON r.id = o.restaurant_id GROUP BY r.city
SELECT COUNT(DISTINCT CASE WHEN status = 'delivered' THEN order_id END) AS orders FROM deliveries
