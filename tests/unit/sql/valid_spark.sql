SELECT * FROM orders |> WHERE total > 1 |> SELECT id
FROM orders SELECT id
SELECT * EXCEPT (id) FROM orders
SELECT id, total + 1 AS t, t * 2 AS u FROM orders
SELECT customer_id c, count(*) FROM orders GROUP BY ALL
SELECT customer_id, sum(total) FILTER (WHERE status = 'x') FROM orders GROUP BY 1 HAVING sum(total) > 3 ORDER BY 2
SELECT transform(collect_list(total), x -> x + 1) FROM orders
SELECT aggregate(collect_list(total), CAST(0 AS DOUBLE), (acc, x) -> acc + x) FROM orders
SELECT o.id, e.item FROM orders o LATERAL VIEW explode(split(status, ',')) e AS item
SELECT o.id, item FROM orders o LATERAL VIEW OUTER posexplode(split(status, ',')) AS pos, item
SELECT * FROM orders TABLESAMPLE (10 PERCENT)
SELECT * FROM (SELECT customer_id, status, total FROM orders) PIVOT (SUM(total) FOR status IN ('a' AS aa, 'b'))
SELECT * FROM orders UNPIVOT (v FOR k IN (total, id))
SELECT date_trunc('day', placed_at), EXTRACT(YEAR FROM placed_at), timestampdiff(SECOND, placed_at, updated_at) FROM orders
SELECT dateadd(DAY, 1, placed_at), timestampadd(MONTH, 1, placed_at), datediff(HOUR, placed_at, updated_at) FROM orders
SELECT placed_at + INTERVAL 1 DAY, placed_at - INTERVAL '1 2' DAY TO HOUR, interval 3 minutes FROM orders
SELECT current_date, current_timestamp, current_user, current_timezone(), now() FROM orders
SELECT row_number() OVER w FROM orders WINDOW w AS (PARTITION BY customer_id ORDER BY placed_at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
SELECT /*+ BROADCAST(c) */ o.id FROM orders o JOIN customers c ON o.customer_id = c.id
SELECT id FROM orders LEFT SEMI JOIN customers USING (id)
SELECT id FROM orders o LEFT ANTI JOIN customers c ON o.customer_id = c.id
SELECT * FROM orders NATURAL JOIN customers
SELECT named_struct('a', total).a FROM orders
SELECT s.a FROM (SELECT struct(total AS a) s FROM orders)
SELECT m['k'], arr[0] FROM (SELECT map('k', 1) m, array(1,2) arr FROM orders)
SELECT stack(2, 'a', total, 'b', total) AS (k, v) FROM orders
SELECT inline(array(struct(id, total))) FROM orders
SELECT col1, col2 FROM VALUES (1, 2), (3, 4)
SELECT a FROM VALUES (1, 2) AS t(a, b) JOIN orders ON a = id
SELECT id FROM orders WHERE status RLIKE 'a.*' AND status NOT LIKE ALL ('a', 'b') AND status ILIKE ANY ('x')
SELECT percentile_approx(total, 0.5), approx_count_distinct(id), mode(status), first(status, true), any_value(id) FROM orders
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders
SELECT listagg(status, ',') WITHIN GROUP (ORDER BY id) FROM orders
SELECT CASE status WHEN 'a' THEN 1 ELSE 2 END, IF(total > 1, 'x', 'y'), total::string, try_cast(status AS INT) FROM orders
SELECT window.start, window.end, count(*) FROM orders GROUP BY window(placed_at, '5 minutes')
SELECT session_window.start, count(*) FROM orders GROUP BY session_window(placed_at, '5 minutes')
SELECT id, (SELECT max(c.id) FROM customers c WHERE c.id = o.customer_id) FROM orders o WHERE EXISTS (SELECT 1 FROM customers WHERE customers.id = o.customer_id)
SELECT id FROM orders MINUS SELECT id FROM customers
SELECT id FROM orders GROUP BY GROUPING SETS ((id), ()) ORDER BY id NULLS LAST LIMIT 3 OFFSET 2
SELECT grouping(id), grouping_id(), cube_col FROM (SELECT id, id AS cube_col FROM orders) GROUP BY CUBE (id, cube_col)
SELECT id FROM orders SORT BY id
SELECT id FROM orders DISTRIBUTE BY customer_id SORT BY placed_at
SELECT `id`, `status` AS `my status` FROM `orders`
SELECT ID, Orders.Status FROM ORDERS
SELECT x'1F', 1.5BD, 10L, 3S, 1e3D, 'a' 'b', r'\d+' FROM orders
SELECT DISTINCT ON_TIME FROM (SELECT true AS on_time FROM orders)
SELECT * FROM orders, LATERAL (SELECT name FROM customers WHERE customers.id = orders.customer_id)
SELECT * FROM orders JOIN LATERAL explode(array(1,2)) AS t(x) ON true
SELECT k, v FROM orders LATERAL VIEW explode(map('a', 1)) AS k, v
WITH a AS (SELECT id FROM orders), b(n) AS (SELECT id FROM a) SELECT n FROM b JOIN a ON a.id = n
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT n, id FROM r JOIN orders ON n = id
SELECT sum(total) OVER (PARTITION BY customer_id ORDER BY placed_at RANGE BETWEEN INTERVAL 1 DAY PRECEDING AND CURRENT ROW) FROM orders
SELECT id FROM orders WHERE (id, customer_id) IN (SELECT id, id FROM customers)
SELECT count(DISTINCT id, status), count_if(total > 1), bool_and(total > 0), max_by(id, total), array_agg(id) FROM orders
SELECT mask(status, lowerChar => 'q') FROM orders
SELECT id, status AS s FROM orders WHERE total <=> NULL AND NOT status <=> 'x' AND id DIV 2 = 1 AND id % 2 = 1 AND ~id & 1 = 0
SELECT * FROM range(10) r JOIN orders ON r.id = orders.id
SELECT id FROM orders WHERE total BETWEEN 1 AND 2 OR status IS NOT DISTINCT FROM 'a'
SELECT orders.* FROM orders
SELECT o.id AS order_id FROM orders AS o ORDER BY order_id, o.placed_at
SELECT status, count(*) AS n FROM orders GROUP BY status HAVING n > 3
SELECT lower(status) AS st, count(*) FROM orders GROUP BY st
SELECT id FROM orders QUALIFY row_number() OVER (ORDER BY id) = 1
SELECT date '2024-01-01', timestamp '2024-01-01 00:00:00', TIMESTAMP_NTZ '2024-01-01 00:00:00' FROM orders
SELECT TIMESTAMPDIFF(MINUTE, placed_at, updated_at) AS user, 1 AS date, 2 AS index FROM orders
SELECT id user FROM orders
SELECT a.id FROM orders a CROSS JOIN customers b FULL OUTER JOIN restaurants c ON c.id = a.restaurant_id AND b.id = a.customer_id
SELECT explode(array(1, 2)) AS x, id FROM orders
SELECT id, x.* FROM (SELECT id, struct(1 AS a) AS x FROM orders)
SELECT trim(LEADING 'x' FROM status), substring(status FROM 2 FOR 3), overlay(status PLACING 'x' FROM 1), position('a' IN status) FROM orders
SELECT id AS `größe` FROM orders -- ü
SELECT zip_with(array(1), array(2), (a, b) -> a + b + id) FROM orders
SELECT filter(array(1), (e, i) -> i > 0 AND e > id) FROM orders
SELECT count(*) c FROM orders HAVING c > 1
VALUES (1, 2)
SELECT cast(NULL AS MAP<STRING, ARRAY<INT>>), cast(struct(id) AS STRUCT<a: INT>) FROM orders
SELECT variant_get(parse_json(status), '$.a', 'int') FROM orders
SELECT status COLLATE UTF8_LCASE FROM orders
SELECT TRANSFORM(id) USING 'cat' AS (x) FROM orders
SELECT anything, o.id FROM view_in_python JOIN orders o ON o.id = other
SELECT p.anything FROM view_in_python p
SELECT id, from FROM (SELECT id, 1 AS `from` FROM orders)
SELECT explode(sequence(1, 3)) AS n, id FROM orders;
WITH t AS (SELECT id, total FROM orders), t2 AS (SELECT * FROM t) SELECT t2.id, total FROM t2
SELECT a.* FROM orders a, (SELECT 1 AS one, 2 AS two) WHERE one = two
SELECT (SELECT c.name FROM customers c WHERE c.id = orders.customer_id) AS name FROM orders ORDER BY name
SELECT DATE_ADD(DAY, 1, placed_at), TIMESTAMPADD(QUARTER, 1, placed_at) FROM orders
