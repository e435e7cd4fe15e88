"""All tiers in one process on one data folder."""
