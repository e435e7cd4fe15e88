"""Training on what items and users are: terms, embeddings of texts, clusters of users."""
