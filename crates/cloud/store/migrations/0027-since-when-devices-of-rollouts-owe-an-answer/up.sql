-- Since when an admitted device owes an answer, 100 ns since 1970; NULL while it is good. A change of
-- what a device is to run does not put its timeout off again and again.
ALTER TABLE rollout_devices ADD COLUMN unsettled INTEGER;
