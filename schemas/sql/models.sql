-- The embedded model store: immutable versions and the pointer to the active one.
CREATE TABLE IF NOT EXISTS versions (
    version  TEXT PRIMARY KEY,
    manifest BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Values of a version by name: factors, neighbours, popularity.
CREATE TABLE IF NOT EXISTS model_values (
    version TEXT NOT NULL,
    name    TEXT NOT NULL,
    value   BLOB NOT NULL,
    UNIQUE (version, name)
) STRICT;

-- Precomputed lists: of kind 'users' a person's best unseen items, of kind 'items' an item's most similar ones.
CREATE TABLE IF NOT EXISTS lists (
    version TEXT NOT NULL,
    kind    TEXT NOT NULL,
    key     TEXT NOT NULL,
    value   BLOB NOT NULL,
    UNIQUE (version, kind, key)
) STRICT;

-- One row at most: the version that is held ready beside the one that answers.
CREATE TABLE IF NOT EXISTS challenger (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    version TEXT NOT NULL REFERENCES versions (version)
) STRICT;

-- One row at most: the version that answers.
CREATE TABLE IF NOT EXISTS pointer (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    version TEXT NOT NULL REFERENCES versions (version)
) STRICT;
