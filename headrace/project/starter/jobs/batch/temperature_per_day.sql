-- Coldest and warmest of each day, per sensor. The file's name is the view's name: batch.temperature_per_day.
-- owner: me
-- schedule: on new data
SELECT sensor, CAST(measured_at AS DATE) AS day, MIN(temperature) AS coldest, MAX(temperature) AS warmest, COUNT(*) AS readings
FROM readings
GROUP BY sensor, CAST(measured_at AS DATE)
