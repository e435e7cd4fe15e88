-- The fields of each record's JSON that are read here, as they stand there. A step of its own, so that Spark parses once.
SELECT
    log_id,
    partition,
    offset,
    timestamp_ms,
    GET_JSON_OBJECT(value, '$.event_id') AS event_id,
    GET_JSON_OBJECT(value, '$.type') AS type,
    GET_JSON_OBJECT(value, '$.user_id') AS user_id,
    GET_JSON_OBJECT(value, '$.anonymous_id') AS anonymous_id,
    GET_JSON_OBJECT(value, '$.session_id') AS session_id,
    GET_JSON_OBJECT(value, '$.item_id') AS item_id,
    GET_JSON_OBJECT(value, '$.value') AS value,
    GET_JSON_OBJECT(value, '$.occurred_at') AS occurred_at,
    GET_JSON_OBJECT(value, '$.received_at') AS received_at
FROM records
WHERE value IS NOT NULL
