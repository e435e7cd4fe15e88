-- Events about items, each under the person it belongs to, without those of people who asked to be forgotten since.
-- A forgotten user's guests are forgotten too, up to that time. If several users identified as one guest, the guest belongs to the latest of them.
WITH marked AS (
    SELECT
        *,
        MAX(CASE WHEN type = 'forget' THEN 1 ELSE 0 END) OVER (
            PARTITION BY subject
            ORDER BY log_began DESC, log_id DESC, offset DESC, partition DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS forgotten
    FROM deduplicated
),

erased AS (
    SELECT guest, MAX(forgotten_ms) AS until_ms
    FROM links
    WHERE forgotten_ms IS NOT NULL
    GROUP BY guest
),

claims AS (
    SELECT
        guest,
        person,
        ROW_NUMBER() OVER (
            PARTITION BY guest
            ORDER BY timestamp_ms DESC, log_began DESC, log_id DESC, offset DESC, partition DESC
        ) AS place
    FROM links
    WHERE forgotten_ms IS NULL
),

linked AS (
    SELECT guest, person
    FROM claims
    WHERE place = 1
)

SELECT
    COALESCE(linked.person, marked.subject) AS person,
    marked.type,
    marked.item_id,
    marked.value,
    marked.at_us,
    marked.timestamp_ms,
    marked.offset
FROM marked
LEFT JOIN erased ON marked.subject = erased.guest
LEFT JOIN linked ON marked.subject = linked.guest
WHERE
    marked.forgotten = 0
    AND marked.item_id IS NOT NULL
    AND (erased.until_ms IS NULL OR marked.timestamp_ms > erased.until_ms)
