-- One row a person and item: the summed weight (or 1), how many events, and the times of the first and latest in seconds since 1970.
SELECT
    person,
    item_id AS item,
    CASE WHEN :binary THEN 1.0D ELSE SUM(weight) END AS weight,
    COUNT(*) AS events,
    MIN(at_us) / 1e6D AS first_at,
    MAX(at_us) / 1e6D AS at
FROM weighted
GROUP BY person, item_id
