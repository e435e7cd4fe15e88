"""Commands of the offline tier: training, models, jobs, the schedule and statistics."""
