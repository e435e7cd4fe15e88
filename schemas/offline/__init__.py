"""What offline publishes: model manifests, hints of a new version, job runs and statistics."""
