-- States of the past, sealed. A cache: what is missing is folded again.
CREATE TABLE past (
    organization TEXT NOT NULL,
    fingerprint TEXT NOT NULL, -- of the code that folded
    seq INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (organization, fingerprint, seq)
) STRICT;

PRAGMA user_version = 4;
