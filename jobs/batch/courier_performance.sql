-- What each courier delivered per day, how much of it in time (60 seconds in this small world), and how it was liked.
-- owner: logistics
WITH delivered AS (
  SELECT courier_id, order_id, MIN(occurred_at) AS delivered_at
  FROM deliveries WHERE status = 'delivered' GROUP BY courier_id, order_id
), rated AS (
  SELECT order_id, MAX(stars) AS stars FROM ratings GROUP BY order_id
), alarmed AS (
  SELECT courier_id, CAST(occurred_at AS DATE) AS day, COUNT(*) AS emergencies
  FROM courier_pings WHERE emergency GROUP BY courier_id, CAST(occurred_at AS DATE)
), carried AS (
  SELECT d.courier_id, CAST(d.delivered_at AS DATE) AS day, COUNT(*) AS deliveries,
    SUM(CASE WHEN d.delivered_at <= o.placed_at + INTERVAL '60' SECOND THEN 1 ELSE 0 END) AS in_time,
    COUNT(r.stars) AS ratings, SUM(r.stars) AS stars, SUM(o.total) AS value_carried
  FROM delivered d JOIN orders o ON o.id = d.order_id LEFT JOIN rated r ON r.order_id = d.order_id
  GROUP BY d.courier_id, CAST(d.delivered_at AS DATE)
)
SELECT c.courier_id, c.day, c.deliveries, c.in_time, c.ratings,
  CASE WHEN c.ratings > 0 THEN CAST(c.stars AS DOUBLE) / c.ratings END AS average_stars,
  c.value_carried, COALESCE(a.emergencies, 0) AS emergencies
FROM carried c LEFT JOIN alarmed a ON a.courier_id = c.courier_id AND a.day = c.day
