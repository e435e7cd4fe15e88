-- The period's events against those expected by the rate of the :spans periods before it, in standard deviations of
-- a count that varies as chance does (a Poisson's is the root of its mean). At least three events; only what rises.
WITH counted AS (
    SELECT
        item_id,
        COUNT(*) FILTER (WHERE at_us > :began_us) AS recent,
        COUNT(*) FILTER (WHERE at_us <= :began_us) / :spans AS expected
    FROM remembered
    WHERE type NOT IN ('dislike', 'dismiss', 'impression') AND at_us > :earlier_us AND :spans >= 1
    GROUP BY item_id
),

risen AS (
    SELECT *, (recent - expected) / SQRT(expected + 1) AS rise
    FROM counted
    WHERE recent >= 3 AND recent > expected
)

SELECT categories.category, risen.item_id, risen.rise, risen.recent, risen.expected
FROM risen
INNER JOIN categories ON risen.item_id = categories.item_id
QUALIFY
    ROW_NUMBER() OVER (
        PARTITION BY categories.category
        ORDER BY risen.rise DESC, risen.recent DESC, risen.item_id ASC
    ) <= :most
ORDER BY categories.category ASC, risen.rise DESC, risen.recent DESC, risen.item_id ASC
