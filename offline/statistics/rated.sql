-- Each person's newest rating of each item, in an order that gives the same sums each time.
SELECT person, item_id, MAX_BY(value, at_us) AS stars
FROM remembered
WHERE type = 'rating' AND value IS NOT NULL AND ISFINITE(value)
GROUP BY person, item_id
ORDER BY person ASC, item_id ASC
