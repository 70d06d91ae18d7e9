-- How often each account's payments succeed, as it is now.
-- owner: payments
-- live: true
SELECT account_id, COUNT(*) AS attempts, COUNT_IF(status = 'captured') AS captured, COUNT_IF(status = 'failed') AS failed,
  CAST(COUNT_IF(status <> 'failed') AS DOUBLE) / COUNT(*) AS success_rate,
  SUM(CASE WHEN status = 'captured' THEN amount ELSE 0 END) AS paid
FROM payments GROUP BY account_id
