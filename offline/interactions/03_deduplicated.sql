-- Each event once, and without what was taken back later: by `retract` with its id, or a `like` by an `unlike`.
-- A retracted `unlike` has taken back its likes all the same, as in nearline, where they are gone by then.
-- An event_id is unique within one person only, as in nearline. A `forget` is never dropped as a duplicate.
WITH numbered AS (
    SELECT
        *,
        SUM(CASE WHEN type IN ('retract', 'forget') THEN 0 ELSE 1 END) OVER (
            PARTITION BY subject, event_id
            ORDER BY log_began ASC, log_id ASC, offset ASC, partition ASC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS occurrence,
        MAX(CASE WHEN type = 'retract' THEN 1 ELSE 0 END) OVER (
            PARTITION BY subject, event_id
            ORDER BY log_began DESC, log_id DESC, offset DESC, partition DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS retracted
    FROM events
),

applied AS (
    SELECT *
    FROM numbered
    WHERE type = 'forget' OR (type <> 'retract' AND occurrence = 1)
),

compared AS (
    SELECT
        *,
        MAX(CASE WHEN type = 'unlike' THEN 1 ELSE 0 END) OVER (
            PARTITION BY subject, item_id
            ORDER BY log_began DESC, log_id DESC, offset DESC, partition DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS unliked
    FROM applied
)

SELECT
    log_id,
    partition,
    offset,
    timestamp_ms,
    log_began,
    type,
    subject,
    anonymous_id,
    item_id,
    value,
    at_us
FROM compared
WHERE (type = 'forget' OR retracted = 0) AND type <> 'unlike' AND NOT (type = 'like' AND unliked = 1)
