-- What was given back per reason and day; a refund that was a mistake is deleted, and gone from here as well.
-- owner: payments
-- live: true
SELECT reason, CAST(created_at AS DATE) AS day, COUNT(*) AS refunds, COUNT(DISTINCT order_id) AS orders,
  SUM(amount) AS refunded
FROM refunds GROUP BY reason, CAST(created_at AS DATE)
