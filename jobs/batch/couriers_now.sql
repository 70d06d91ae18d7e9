-- Each courier's device as it is now: when it was seen, its lowest charge, and how often the button was pressed.
-- owner: logistics
-- live: true
SELECT courier_id, COUNT(*) AS pings, MAX(occurred_at) AS last_seen, MIN(battery) AS lowest_battery,
  COUNT_IF(emergency) AS emergencies
FROM courier_pings GROUP BY courier_id
