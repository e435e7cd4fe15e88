-- By how many people opened an item's page; one who opens it ten times is one.
WITH viewed AS (
    SELECT item_id, COUNT(DISTINCT person) AS people, COUNT(*) AS views
    FROM remembered
    WHERE type IN ('view', 'click') AND at_us > :began_us
    GROUP BY item_id
)

SELECT categories.category, viewed.item_id, viewed.people, viewed.views
FROM viewed
INNER JOIN categories ON viewed.item_id = categories.item_id
QUALIFY
    ROW_NUMBER() OVER (
        PARTITION BY categories.category
        ORDER BY viewed.people DESC, viewed.views DESC, viewed.item_id ASC
    ) <= :most
ORDER BY categories.category ASC, viewed.people DESC, viewed.views DESC, viewed.item_id ASC
