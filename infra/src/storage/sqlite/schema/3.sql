-- What keys are called: beside the log, because it can be erased.
CREATE TABLE names (
    organization TEXT NOT NULL,
    key_id TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (organization, key_id)
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 3;
