-- The file of call records. Every statement can run again on a file that has it.
CREATE TABLE IF NOT EXISTS calls (
    organization TEXT NOT NULL,
    agent TEXT NOT NULL,
    -- Begins with the microsecond that the call began at.
    id TEXT NOT NULL,
    lookup TEXT,
    call_id TEXT,
    in_doubt INTEGER,
    record TEXT NOT NULL,
    PRIMARY KEY (organization, agent, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_by_lookup ON calls (organization, agent, lookup, id) WHERE lookup IS NOT NULL;
CREATE INDEX IF NOT EXISTS calls_by_call ON calls (organization, agent, call_id, id) WHERE call_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS calls_in_doubt ON calls (organization, agent, id) WHERE in_doubt;

CREATE TABLE IF NOT EXISTS resolutions (
    organization TEXT NOT NULL,
    agent TEXT NOT NULL,
    id TEXT NOT NULL,
    resolution TEXT NOT NULL,
    PRIMARY KEY (organization, agent, id)
) WITHOUT ROWID;
