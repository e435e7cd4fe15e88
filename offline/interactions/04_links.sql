-- Which guest became which user, and when that user was forgotten afterwards (null: not).
WITH marked AS (
    SELECT
        *,
        MAX(CASE WHEN type = 'forget' THEN timestamp_ms END) OVER (
            PARTITION BY subject
            ORDER BY log_began DESC, log_id DESC, offset DESC, partition DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS forgotten_ms
    FROM deduplicated
    WHERE type IN ('identify', 'forget')
)

SELECT
    CONCAT('a:', anonymous_id) AS guest,
    subject AS person,
    forgotten_ms,
    timestamp_ms,
    log_began,
    log_id,
    offset,
    partition
FROM marked
WHERE type = 'identify' AND anonymous_id IS NOT NULL AND subject LIKE 'u:%'
