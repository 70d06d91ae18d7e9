-- Payments above 100 that failed.
-- owner: finance
-- key: payment_id
-- severity: ticket
SELECT id AS payment_id, order_id, account_id, amount, `method`, event_time AS failed_at
FROM payments_changes
WHERE status = 'failed' AND amount > 100 AND op <> 'd'
