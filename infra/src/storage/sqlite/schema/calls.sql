-- The file of call records. Every statement can run again on a file that has it.
CREATE TABLE IF NOT EXISTS owners (
    owner INTEGER PRIMARY KEY,
    organization TEXT NOT NULL,
    agent TEXT NOT NULL,
    UNIQUE (organization, agent)
);

-- A layout that no release had; nothing would ever expire in it.
DROP TABLE IF EXISTS calls;

-- Thousands of records may come in a second, and stay for months. So they stand together in blocks, compressed, with
-- what tells which blocks to look into, and not in a row with entries in indexes for each.
CREATE TABLE IF NOT EXISTS blocks (
    block INTEGER PRIMARY KEY,
    owner INTEGER NOT NULL,
    -- The lowest and the highest id, each of which begins with the microsecond that its call began at. Blocks overlap.
    first TEXT NOT NULL,
    last TEXT NOT NULL,
    len INTEGER NOT NULL,
    in_doubt INTEGER NOT NULL,
    -- Four bytes for each value that a row was found by, and for each call of the platform.
    keys BLOB NOT NULL,
    -- Lines of JSON, in one frame of zstd.
    records BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS blocks_by_last ON blocks (owner, last, first);
CREATE INDEX IF NOT EXISTS blocks_in_doubt ON blocks (owner, last, first) WHERE in_doubt;
DROP INDEX IF EXISTS blocks_small;
CREATE INDEX IF NOT EXISTS small_blocks ON blocks (owner, len) WHERE len < 1024;

CREATE TABLE IF NOT EXISTS resolutions (
    owner INTEGER NOT NULL,
    id TEXT NOT NULL,
    resolution TEXT NOT NULL,
    PRIMARY KEY (owner, id)
) WITHOUT ROWID;
