-- Events, each with the key of whom it is about and its place in all logs' order.
-- A log's own order is by offset; logs follow each other by their first record's time. What is not an event is left out.
WITH logs AS (
    SELECT log_id, MIN(timestamp_ms) AS log_began
    FROM fields
    GROUP BY log_id
),

timed AS (
    SELECT
        *,
        CASE
            WHEN
                occurred_at RLIKE
                '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$'
                THEN UNIX_MICROS(TRY_CAST(occurred_at AS TIMESTAMP))
        END AS at_us,
        CASE
            WHEN
                received_at RLIKE
                '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$'
                THEN UNIX_MICROS(TRY_CAST(received_at AS TIMESTAMP))
        END AS received_us
    FROM fields
)

SELECT
    timed.log_id,
    timed.partition,
    timed.offset,
    timed.timestamp_ms,
    logs.log_began,
    timed.event_id,
    timed.type,
    timed.anonymous_id,
    timed.item_id,
    TRY_CAST(timed.value AS DOUBLE) AS value,
    timed.at_us,
    CASE
        WHEN timed.user_id IS NOT NULL THEN CONCAT('u:', timed.user_id)
        WHEN timed.anonymous_id IS NOT NULL THEN CONCAT('a:', timed.anonymous_id)
        ELSE CONCAT('s:', timed.session_id)
    END AS subject
FROM timed
INNER JOIN logs ON timed.log_id = logs.log_id
WHERE
    LENGTH(timed.event_id) BETWEEN 1 AND 128
    AND LENGTH(timed.type) BETWEEN 1 AND 128
    AND COALESCE(timed.user_id, timed.anonymous_id, timed.session_id) IS NOT NULL
    AND LENGTH(COALESCE(timed.user_id, '-')) BETWEEN 1 AND 128
    AND LENGTH(COALESCE(timed.anonymous_id, '-')) BETWEEN 1 AND 128
    AND LENGTH(COALESCE(timed.session_id, '-')) BETWEEN 1 AND 128
    AND LENGTH(COALESCE(timed.item_id, '-')) BETWEEN 1 AND 128
    -- As in nearline: the collector has judged by its clock, and only a clock that is wrong by a day is judged again.
    AND timed.at_us <= timed.received_us + :ahead_us
    AND timed.received_us <= timed.timestamp_ms * 1000 + :clock_error_us
