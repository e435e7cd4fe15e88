"""SQLite: log, signals, models, answers and job runs of a site in one data folder."""
