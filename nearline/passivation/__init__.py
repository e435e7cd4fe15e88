"""Lets the values of idle guests go from the signal store, and folds them again when the guests return (passivation)."""
