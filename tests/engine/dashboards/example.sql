-- The views that the dashboard reads, with the columns the jobs give them: two weeks of a small town.
SELECT setseed(0.42);

CREATE TABLE batch.order_360 AS
SELECT n AS order_id, CASE WHEN random() < 0.04 THEN 'cancelled' ELSE 'delivered' END AS status,
  round((12 + 40 * random() * random())::numeric, 2) AS total,
  now() - 14 * random() * random() * interval '1 day' AS placed_at,
  1 + (random() * 400)::bigint AS customer_id, 'Delft' AS customer_city,
  1 + floor(24 * random() * random())::bigint AS restaurant_id, NULL::text AS restaurant, NULL::text AS restaurant_city,
  1 + (random() * 30)::bigint AS courier_id, random() < 0.93 AS on_time, 1::bigint AS payment_attempts,
  (random() < 0.03)::int::bigint AS payments_failed, NULL::numeric(38, 2) AS paid, NULL::numeric(38, 2) AS refunded,
  (1 + floor(5 * sqrt(random())))::bigint AS stars
FROM generate_series(1, 12000) n;
UPDATE batch.order_360 SET restaurant_city = (ARRAY['Delft', 'Leiden', 'Utrecht', 'Haarlem'])[1 + restaurant_id % 4],
  restaurant = (ARRAY['Golden', 'Blue', 'Quiet', 'Little', 'Old', 'Green'])[1 + restaurant_id % 6] || ' ' ||
    (ARRAY['Lantern', 'Kitchen', 'Harbour', 'Olive', 'Dumpling'])[1 + restaurant_id % 5], paid = total;

CREATE TABLE batch.revenue_per_restaurant AS
SELECT restaurant_id, placed_at::date AS day, SUM(total) AS revenue, COUNT(*) AS orders
FROM batch.order_360 GROUP BY restaurant_id, placed_at::date;

CREATE TABLE batch.payment_success_per_account AS
SELECT account_id, attempts, attempts - failed AS captured, failed, 1.0::float8 * (attempts - failed) / attempts AS success_rate,
  25.5 * (attempts - failed) AS paid, 25.5 * failed AS missed, 0::numeric AS refunded, 25.5 * (attempts - failed) AS kept
FROM (SELECT n AS account_id, (5 + n % 40)::bigint AS attempts, (n % 3)::bigint AS failed FROM generate_series(1, 400) n) a;

CREATE TABLE alerts.large_failed_payment AS
SELECT n AS payment_id, n AS order_id, (n * 7919) % 400 AS account_id, round((100 + 200 * random() * random())::numeric, 2) AS amount,
  (ARRAY['card', 'wallet', 'bank'])[1 + n % 3] AS method, now() - n * interval '97 seconds' AS failed_at,
  'ticket' AS severity, now() - n * interval '97 seconds' AS raised_at
FROM generate_series(1, 60) n;
CREATE TABLE alerts.failing_payments AS
SELECT (n * 104729) % 400 AS account_id, date_trunc('minute', now()) - n * interval '5 minutes' AS window_end,
  (3 + n % 4)::bigint AS failures, 'page' AS severity, now() - n * interval '5 minutes' AS raised_at
FROM generate_series(1, 40) n;
CREATE TABLE alerts.courier_emergency AS
SELECT n AS event_id, 'page' AS severity, now() - n * interval '13 minutes' AS raised_at FROM generate_series(1, 9) n;
CREATE TABLE alerts.late_delivery AS
SELECT n AS order_id, 'ticket' AS severity, now() - n * interval '41 seconds' AS raised_at FROM generate_series(1, 200) n;
CREATE TABLE alerts.unhappy_customer AS
SELECT n AS order_id, 'ticket' AS severity, now() - n * interval '3 minutes' AS raised_at FROM generate_series(1, 40) n;
