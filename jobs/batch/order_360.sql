-- One record per order id: what was ordered, how it travelled, how it was paid, and how it was liked.
-- owner: operations
WITH trip AS (
  SELECT order_id, MAX(courier_id) AS courier_id,
    MIN(CASE WHEN event = 'started' THEN occurred_at END) AS trip_started_at,
    MAX(CASE WHEN event = 'finished' THEN occurred_at END) AS trip_finished_at
  FROM trips GROUP BY order_id
), delivery AS (
  SELECT order_id,
    MIN(CASE WHEN status = 'picked_up' THEN occurred_at END) AS picked_up_at,
    MIN(CASE WHEN status = 'delivered' THEN occurred_at END) AS delivered_at
  FROM deliveries GROUP BY order_id
), payment AS (
  SELECT order_id, COUNT(*) AS payment_attempts,
    SUM(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS payments_failed,
    SUM(CASE WHEN status = 'captured' THEN amount ELSE 0 END) AS paid
  FROM payments GROUP BY order_id
), refund AS (
  SELECT order_id, SUM(amount) AS refunded FROM refunds GROUP BY order_id
), rating AS (
  SELECT order_id, MAX(stars) AS stars, MAX(comment) AS comment FROM ratings GROUP BY order_id
)
SELECT o.id AS order_id, o.status, o.total, o.placed_at, c.id AS customer_id, c.city AS customer_city,
  r.id AS restaurant_id, r.name AS restaurant, r.city AS restaurant_city,
  trip.courier_id, trip.trip_started_at, trip.trip_finished_at, delivery.picked_up_at, delivery.delivered_at,
  CASE WHEN delivery.delivered_at <= o.placed_at + INTERVAL '60' SECOND THEN TRUE
       WHEN delivery.delivered_at IS NOT NULL THEN FALSE END AS on_time,
  COALESCE(payment.payment_attempts, 0) AS payment_attempts, COALESCE(payment.payments_failed, 0) AS payments_failed,
  payment.paid, refund.refunded, rating.stars, rating.comment
FROM orders o
LEFT JOIN customers c ON c.id = o.customer_id
LEFT JOIN restaurants r ON r.id = o.restaurant_id
LEFT JOIN trip ON trip.order_id = o.id
LEFT JOIN delivery ON delivery.order_id = o.id
LEFT JOIN payment ON payment.order_id = o.id
LEFT JOIN refund ON refund.order_id = o.id
LEFT JOIN rating ON rating.order_id = o.id
