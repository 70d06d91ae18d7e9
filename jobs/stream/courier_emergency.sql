-- A courier's device called for help.
-- owner: logistics
-- key: event_id
-- severity: page
SELECT event_id, courier_id, device_id, latitude, longitude, battery, event_time AS called_at
FROM courier_pings_changes
WHERE emergency
