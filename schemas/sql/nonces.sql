-- Names that count once, such as the nonces of signed requests, until a time in seconds since 1970.
CREATE TABLE IF NOT EXISTS nonces (
    name TEXT PRIMARY KEY,
    until REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS nonces_by_time ON nonces (until);
