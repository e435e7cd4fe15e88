-- Each person's newest rating of each item, on the scale of the site; what is on no scale is left out.
SELECT person, item_id, value AS stars, at_us
FROM remembered
WHERE type = 'rating' AND value BETWEEN :lowest AND :highest
QUALIFY ROW_NUMBER() OVER (PARTITION BY person, item_id ORDER BY at_us DESC, timestamp_ms DESC, "offset" DESC) = 1
-- In an order that gives the same sums each time.
ORDER BY person ASC, item_id ASC
