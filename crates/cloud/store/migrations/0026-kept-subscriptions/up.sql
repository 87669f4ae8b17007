-- Subscriptions to desired patches and methods outlive their session as those to messages do.
CREATE TABLE kept_subscriptions (
    identity INTEGER PRIMARY KEY REFERENCES identities (id) ON DELETE CASCADE,
    -- The QoS of each subscription that there is.
    messages INTEGER CHECK (messages IN (0, 1)),
    desired  INTEGER CHECK (desired IN (0, 1)),
    methods  INTEGER CHECK (methods IN (0, 1))
);
INSERT INTO kept_subscriptions (identity, messages) SELECT identity, qos FROM queue_subscriptions;
DROP TABLE queue_subscriptions;
