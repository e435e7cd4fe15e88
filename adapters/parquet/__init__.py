"""Parquet files, in a folder or at an fsspec address: the archive, exported models and snapshots."""
