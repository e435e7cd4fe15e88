"""What a value of an event may be: ids, integers, ratings, and the weight of an event type."""
