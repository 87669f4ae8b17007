-- How far clients are from a linked hub, by their network: a JSON array; NULL when nobody has said.
ALTER TABLE linked_hubs ADD COLUMN latencies TEXT;
