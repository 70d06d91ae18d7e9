i
d
s
b
day
at
'O\'Neil'
1.50
TRUE
DATE '2024-02-29'
TIMESTAMP '2024-02-29 12:00:00.5'
i + j
i - j
i + 1
d + e
d - 1
d * e
e * 3
d * i
- d
i + 0.5
i = j
i <> j
d < e
d <= 12.35
i > d
at >= TIMESTAMP '2024-02-29 12:00:00'
day < DATE '2000-01-02'
s = t
s <> 'placed'
i <=> j
s <=> t
b = TRUE
day = CAST(at AS DATE)
b AND i > 0
b OR i > 0
NOT b
NOT (i > 0 AND j > 0)
i > 0 OR j > 0 OR d > 0
s IS NULL
s IS NOT NULL
d IS NULL AND e IS NULL
CASE WHEN i > 0 THEN 'plus' WHEN i < 0 THEN 'minus' END
CASE WHEN b THEN d ELSE e END
CASE i WHEN 5 THEN 1 ELSE 0 END
IF(b, d, 0)
COALESCE(d, e, 0)
COALESCE(s, t, 'none')
NULLIF(i, 0)
NULLIF(s, '')
IFNULL(b, FALSE)
i IN (5, 7, 42)
s IN ('placed', 'x')
s NOT IN ('placed')
i NOT IN (5, j)
d BETWEEN 0 AND 20
day BETWEEN DATE '2000-01-01' AND DATE '2026-12-30'
i NOT BETWEEN -20 AND 10
s LIKE 'pl%'
s LIKE '%ed'
s LIKE '%e%'
t LIKE '50%'
s LIKE 'placed'
s NOT LIKE '%x%'
t LIKE '%O\'N%q%'
UPPER(s)
LOWER(t)
LOWER(s) = 'placed'
TRIM(s)
CONCAT(s, '-', t)
s || t
SUBSTRING(s, 2, 3)
SUBSTRING(t, 3)
CAST(i AS DECIMAL(20,1))
CAST(d AS DECIMAL(12,4))
CAST(i AS STRING)
CAST(d AS STRING)
CAST(e AS STRING)
CAST(day AS STRING)
CAST(at AS DATE)
CAST(day AS TIMESTAMP)
DATE(at)
TRY_CAST(d AS DECIMAL(4,1))
TRY_CAST(i AS DECIMAL(5,0))
TRY_CAST(x AS DECIMAL(12,2))
TRY_CAST(e AS DECIMAL(6,1))
DATE_TRUNC('minute', at)
DATE_TRUNC('hour', at)
DATE_TRUNC('day', at)
DATE_TRUNC('month', at)
DATE_TRUNC('YEAR', at)
EXTRACT(YEAR FROM at)
EXTRACT(MONTH FROM day)
DAY(at)
HOUR(at)
YEAR(day)
MINUTE(at)
EXTRACT(HOUR FROM at)
window(at, '10 minutes').start
window(at, '6 hours').start
window(at, '1 minute').start
CAST(CASE WHEN s LIKE '%e%' THEN YEAR(at) ELSE 0 END AS STRING) || '/' || COALESCE(t, '')
