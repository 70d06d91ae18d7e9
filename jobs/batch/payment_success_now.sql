-- The share of each account's payments that succeed, of those that are decided.
-- owner: payments
-- live: true
SELECT account_id, COUNT(*) AS attempts, COUNT_IF(status = 'captured') AS captured, COUNT_IF(status = 'failed') AS failed,
  CAST(COUNT_IF(status = 'captured') AS DOUBLE) / NULLIF(COUNT_IF(status IN ('captured', 'failed')), 0) AS success_rate
FROM payments GROUP BY account_id
