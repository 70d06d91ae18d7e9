-- How often each account's payments succeed, and what was kept after refunds.
-- owner: payments
WITH attempt AS (
  SELECT account_id, COUNT(*) AS attempts,
    SUM(CASE WHEN status = 'captured' THEN 1 ELSE 0 END) AS captured,
    SUM(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS failed,
    SUM(CASE WHEN status = 'captured' THEN amount ELSE 0 END) AS paid,
    SUM(CASE WHEN status = 'failed' THEN amount ELSE 0 END) AS missed
  FROM payments GROUP BY account_id
), returned AS (
  SELECT p.account_id, SUM(f.amount) AS refunded
  FROM refunds f JOIN payments p ON p.id = f.payment_id GROUP BY p.account_id
)
SELECT a.account_id, a.attempts, a.captured, a.failed, CAST(a.captured AS DOUBLE) / a.attempts AS success_rate,
  a.paid, a.missed, COALESCE(r.refunded, 0) AS refunded, a.paid - COALESCE(r.refunded, 0) AS kept
FROM attempt a LEFT JOIN returned r ON r.account_id = a.account_id
