-- Readings above 30 degrees, within seconds: in alerts.too_hot and on the topic alerts.too_hot.
-- owner: me
-- key: sensor, measured_at
-- severity: info
SELECT sensor, measured_at, temperature
FROM readings_changes
WHERE temperature > 30 AND op <> 'd'
