-- Webhooks: how far they are, and what was tried.
CREATE TABLE cursors (
    organization TEXT NOT NULL,
    subscription TEXT NOT NULL,
    after INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    failing_since INTEGER, -- microseconds since 1970
    retry_at INTEGER,
    PRIMARY KEY (organization, subscription)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
    organization TEXT NOT NULL,
    subscription TEXT NOT NULL,
    id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    status INTEGER,
    failure TEXT,
    PRIMARY KEY (organization, subscription, id)
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 2;
