"""Training on texts and attributes of items and on similar users: terms, embeddings of texts, clusters of users."""
