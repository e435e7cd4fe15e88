"""What happened: bounded values, their folds, and how they are read. Pure: no clock, driver or model."""
