-- Runs of jobs, as JSON; ids sort by when a run began.
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY,
    run    BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What jobs leave for others to read, by name: statistics.
CREATE TABLE IF NOT EXISTS documents (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
