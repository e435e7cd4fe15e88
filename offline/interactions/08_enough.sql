-- Only items with enough people, then only people with enough of those items; once, not until nothing changes.
WITH items AS (
    SELECT item
    FROM interactions
    GROUP BY item
    HAVING COUNT(*) >= :item_minimum
),

people AS (
    SELECT interactions.person
    FROM interactions
    INNER JOIN items ON interactions.item = items.item
    GROUP BY interactions.person
    HAVING COUNT(*) >= :user_minimum
)

SELECT
    interactions.person AS `user`,
    interactions.item,
    interactions.weight,
    interactions.events,
    interactions.first_at,
    interactions.at
FROM interactions
INNER JOIN items ON interactions.item = items.item
INNER JOIN people ON interactions.person = people.person
