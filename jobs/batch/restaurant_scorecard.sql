-- One row per restaurant, out of every source: what it sold and to whom, what was given back, how it is liked by those
-- who ordered and on the review site, where it delivers, what its menu costs, and what the partner promotes.
-- owner: restaurants
-- schedule: 2-59/10 * * * *
WITH sold AS (
  SELECT o.restaurant_id, COUNT(*) AS orders, SUM(o.total) AS revenue,
    SUM(CASE WHEN l.tier IN ('silver', 'gold') THEN o.total ELSE 0 END) AS members_revenue
  FROM orders o LEFT JOIN loyalty_accounts l ON l.account_id = o.customer_id
  WHERE o.status <> 'cancelled' GROUP BY o.restaurant_id
), given_back AS (
  SELECT o.restaurant_id, SUM(f.amount) AS refunded
  FROM refunds f JOIN orders o ON o.id = f.order_id GROUP BY o.restaurant_id
), rated AS (
  SELECT o.restaurant_id, COUNT(*) AS ratings, SUM(r.stars) AS stars
  FROM ratings r JOIN orders o ON o.id = r.order_id GROUP BY o.restaurant_id
), reviewed AS (
  SELECT restaurant_id, COUNT(*) AS reviews, SUM(food) AS food, SUM(delivery) AS delivery
  FROM restaurant_reviews GROUP BY restaurant_id
), reached AS (
  SELECT d.restaurant_id, COUNT(*) AS areas, COUNT(DISTINCT a.city) AS cities, MIN(d.fee) AS lowest_fee,
    MAX(d.minutes) AS longest_minutes
  FROM delivers_to d JOIN delivery_areas a ON a.id = d.area_id GROUP BY d.restaurant_id
), listed AS (
  SELECT restaurant_id, COUNT(*) AS dishes, MIN(price) AS cheapest_dish FROM menu_prices GROUP BY restaurant_id
), promoted AS (
  SELECT restaurant_id, COUNT(*) AS promotions, MAX(percent) AS best_discount, SUM(share) AS partner_share
  FROM promotions GROUP BY restaurant_id
)
SELECT s.id AS restaurant_id, s.name AS restaurant, s.city, s.cuisine,
  COALESCE(sold.orders, 0) AS orders, COALESCE(sold.revenue, 0) AS revenue,
  COALESCE(sold.members_revenue, 0) AS members_revenue, COALESCE(given_back.refunded, 0) AS refunded,
  rated.ratings, CAST(rated.stars AS DOUBLE) / rated.ratings AS average_stars,
  reviewed.reviews, CAST(reviewed.food AS DOUBLE) / reviewed.reviews AS average_food,
  CAST(reviewed.delivery AS DOUBLE) / reviewed.reviews AS average_delivery,
  reached.areas, reached.cities, reached.lowest_fee, reached.longest_minutes,
  listed.dishes, listed.cheapest_dish, COALESCE(promoted.promotions, 0) AS promotions,
  promoted.best_discount, promoted.partner_share
FROM restaurants s
LEFT JOIN sold ON sold.restaurant_id = s.id
LEFT JOIN given_back ON given_back.restaurant_id = s.id
LEFT JOIN rated ON rated.restaurant_id = s.id
LEFT JOIN reviewed ON reviewed.restaurant_id = s.id
LEFT JOIN reached ON reached.restaurant_id = s.id
LEFT JOIN listed ON listed.restaurant_id = s.id
LEFT JOIN promoted ON promoted.restaurant_id = s.id
