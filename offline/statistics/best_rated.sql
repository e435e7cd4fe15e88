-- Bayesian averages: each item begins with :prior ratings of its category's mean, so that a single five is no champion.
WITH rated AS (
    SELECT item_id, COUNT(*) AS ratings, SUM(value) AS stars
    FROM remembered
    WHERE type = 'rating' AND value IS NOT NULL AND at_us > :began_us
    GROUP BY item_id
),

placed AS (
    SELECT
        categories.category,
        rated.item_id,
        rated.ratings,
        rated.stars,
        SUM(rated.stars) OVER (PARTITION BY categories.category)
        / SUM(rated.ratings) OVER (PARTITION BY categories.category) AS prior_mean
    FROM rated
    INNER JOIN categories ON rated.item_id = categories.item_id
),

averaged AS (
    SELECT *, (:prior * prior_mean + stars) / (:prior + ratings) AS average
    FROM placed
)

SELECT category, item_id, average, ratings, stars / ratings AS mean, prior_mean
FROM averaged
QUALIFY ROW_NUMBER() OVER (PARTITION BY category ORDER BY average DESC, ratings DESC, item_id ASC) <= :most
ORDER BY category ASC, average DESC, ratings DESC, item_id ASC
