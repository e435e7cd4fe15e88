-- The embedded signal store: values per partition beside their fence.
CREATE TABLE IF NOT EXISTS fences (
    partition INTEGER NOT NULL,
    signal    TEXT    NOT NULL,
    log_id    TEXT    NOT NULL,
    "offset"  INTEGER NOT NULL,  -- the last one applied, -1 for none
    PRIMARY KEY (partition, signal)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS signal_values (
    partition INTEGER NOT NULL,
    signal    TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    value     BLOB    NOT NULL,
    changed   INTEGER,  -- offset of the commit that last wrote it; only followed signals keep it
    UNIQUE (partition, signal, key)
);

CREATE INDEX IF NOT EXISTS signal_changes ON signal_values (partition, signal, changed) WHERE changed IS NOT NULL;
