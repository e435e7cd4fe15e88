-- The embedded log: one file, several topics, offsets counted from 0 in each topic and partition.
CREATE TABLE IF NOT EXISTS meta (
    name  TEXT PRIMARY KEY,  -- log_id, partitions
    value TEXT NOT NULL
) WITHOUT ROWID;

-- The offset that the next record of a partition gets; a partition without a row has none yet.
CREATE TABLE IF NOT EXISTS ends (
    topic       TEXT    NOT NULL,
    partition   INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS records (
    topic        TEXT    NOT NULL,
    partition    INTEGER NOT NULL,
    "offset"     INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL,  -- when the log took it, since 1970
    key          BLOB    NOT NULL,
    value        BLOB    NOT NULL,
    PRIMARY KEY (topic, partition, "offset")
) WITHOUT ROWID;
