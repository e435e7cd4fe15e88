-- Bayesian averages: each item begins with :prior ratings of its category's mean, so that a single five is no champion.
-- A person counts once for an item, by the newest rating (rated.sql).
WITH sums AS (
    SELECT item_id, COUNT(*) AS ratings, SUM(stars) AS stars
    FROM rated
    WHERE at_us > :began_us
    GROUP BY item_id
),

placed AS (
    SELECT
        categories.category,
        sums.item_id,
        sums.ratings,
        sums.stars,
        SUM(sums.stars) OVER (PARTITION BY categories.category)
        / SUM(sums.ratings) OVER (PARTITION BY categories.category) AS prior_mean
    FROM sums
    INNER JOIN categories ON sums.item_id = categories.item_id
),

averaged AS (
    SELECT *, (:prior * prior_mean + stars) / (:prior + ratings) AS average
    FROM placed
)

SELECT category, item_id, average, ratings, stars / ratings AS mean, prior_mean
FROM averaged
QUALIFY ROW_NUMBER() OVER (PARTITION BY category ORDER BY average DESC, ratings DESC, item_id ASC) <= :most
ORDER BY category ASC, average DESC, ratings DESC, item_id ASC
