-- Accounts with 3 or more failed payments within two minutes.
-- owner: finance
-- key: account_id
-- severity: page
SELECT account_id, window_end, COUNT(*) AS failures
FROM TABLE(HOP(TABLE payments_changes, DESCRIPTOR(event_time), INTERVAL '10' SECOND, INTERVAL '2' MINUTE))
WHERE status = 'failed' AND op <> 'd'
GROUP BY account_id, window_start, window_end
HAVING COUNT(*) >= 3
