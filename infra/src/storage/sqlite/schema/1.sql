CREATE TABLE commits (
    organization TEXT NOT NULL,
    seq INTEGER NOT NULL, -- of the last event of the commit
    recorded_at INTEGER NOT NULL, -- microseconds since 1970, of the last event
    prev_hash BLOB NOT NULL,
    hash BLOB NOT NULL,
    body TEXT NOT NULL, -- a JSON array of 1 to 100 events
    PRIMARY KEY (organization, seq)
) STRICT;

CREATE TRIGGER commits_are_only_appended BEFORE INSERT ON commits
WHEN EXISTS (SELECT 1 FROM commits WHERE organization = NEW.organization AND seq >= NEW.seq)
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

CREATE TRIGGER commits_are_never_changed BEFORE UPDATE ON commits
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

CREATE TRIGGER commits_are_never_removed BEFORE DELETE ON commits
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;

CREATE TABLE heads (
    organization TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE commands (
    organization TEXT NOT NULL,
    command_id TEXT NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (organization, command_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX commands_by_age ON commands (recorded_at);

-- Projections. All of them can be thrown away and folded again.
CREATE TABLE documents (
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (organization, kind, id)
) STRICT;

CREATE TABLE checkpoints (
    organization TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    fingerprint TEXT NOT NULL -- of the code that folded
) STRICT, WITHOUT ROWID;

CREATE TABLE keys (
    key_id TEXT PRIMARY KEY,
    organization TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_by_organization ON keys (organization);

-- Beside the log.
CREATE TABLE artefacts (
    organization TEXT NOT NULL,
    address TEXT NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (organization, address)
) STRICT;

CREATE TABLE credentials (
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    wrapped_key BLOB NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (organization, kind, version)
) STRICT;

-- Credentials that are deleted, but whose bytes may still stand in the write-ahead log.
CREATE TABLE shreds (
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (organization, kind, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE answers (
    organization TEXT NOT NULL,
    key TEXT NOT NULL,
    body_hash TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'done', 'in_doubt')),
    owner TEXT NOT NULL, -- the process that runs it
    expires_at INTEGER NOT NULL, -- microseconds since 1970
    wrapped_key BLOB,
    body BLOB,
    PRIMARY KEY (organization, key)
) STRICT;
CREATE INDEX answers_by_age ON answers (expires_at);
CREATE INDEX answers_by_state ON answers (state) WHERE state = 'running';

PRAGMA user_version = 1;
