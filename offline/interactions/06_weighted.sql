-- What each event says for its item: the weight of its type (and value), decayed to `now`. What says nothing, or something against, is left out, and so is what is older than its type is kept.
SELECT
    remembered.person,
    remembered.item_id,
    remembered.at_us,
    weights.weight * EXP(-:decay_per_second * GREATEST(0.0D, :now - remembered.at_us / 1e6D)) AS weight
FROM remembered
INNER JOIN weights
    ON
        remembered.type = weights.type
        AND COALESCE(remembered.value, 0.0D) >= weights.at_least
        AND COALESCE(remembered.value, 0.0D) < weights.below
        AND remembered.timestamp_ms >= weights.since_ms
WHERE weights.weight > 0 AND (:guests OR remembered.person LIKE 'u:%')
