-- The file of call records. Every statement can run again on a file that has it. Thousands of records may come in a
-- second, so what an index repeats for each of them is short.
CREATE TABLE IF NOT EXISTS owners (
    owner INTEGER PRIMARY KEY,
    organization TEXT NOT NULL,
    agent TEXT NOT NULL,
    UNIQUE (organization, agent)
);

CREATE TABLE IF NOT EXISTS calls (
    owner INTEGER NOT NULL,
    -- Begins with the microsecond that the call began at.
    id TEXT NOT NULL,
    -- The first 64 bits of the hash.
    lookup INTEGER,
    call_id TEXT,
    in_doubt INTEGER,
    record TEXT NOT NULL,
    PRIMARY KEY (owner, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_by_lookup ON calls (owner, lookup, id) WHERE lookup IS NOT NULL;
CREATE INDEX IF NOT EXISTS calls_by_call ON calls (owner, call_id, id) WHERE call_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS calls_in_doubt ON calls (owner, id) WHERE in_doubt;

CREATE TABLE IF NOT EXISTS resolutions (
    owner INTEGER NOT NULL,
    id TEXT NOT NULL,
    resolution TEXT NOT NULL,
    PRIMARY KEY (owner, id)
) WITHOUT ROWID;
