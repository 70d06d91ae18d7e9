-- What each courier has picked up and delivered so far, and when last.
-- owner: logistics
-- live: true
SELECT courier_id, COUNT_IF(status = 'picked_up') AS picked_up, COUNT_IF(status = 'delivered') AS delivered,
  MIN(occurred_at) AS first_seen, MAX(occurred_at) FILTER (WHERE status = 'delivered') AS last_delivery
FROM deliveries GROUP BY courier_id
