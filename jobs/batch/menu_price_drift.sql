-- What each dish was sold for, against its price on the newest list.
-- owner: restaurants
-- schedule: @hourly
SELECT o.restaurant_id, i.dish, m.price AS list_price, m.valid_from, SUM(i.quantity) AS sold,
  SUM(i.price * i.quantity) AS revenue, MIN(i.price) AS lowest_price, MAX(i.price) AS highest_price,
  SUM((m.price - i.price) * i.quantity) AS below_list
FROM order_items i
JOIN orders o ON o.id = i.order_id
JOIN menu_prices m ON m.restaurant_id = o.restaurant_id AND m.dish = i.dish
WHERE o.status <> 'cancelled'
GROUP BY o.restaurant_id, i.dish, m.price, m.valid_from
