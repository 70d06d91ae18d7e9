-- What was given back per reason and day; a refund that was a mistake is deleted, and gone from here as well.
-- owner: payments
-- live: true
SELECT reason, CAST(created_at AS DATE) AS day, COUNT(*) AS refunds, SUM(amount) AS refunded, AVG(amount) AS average
FROM refunds GROUP BY reason, CAST(created_at AS DATE)
