"""Nearline: follows the log and keeps signals. One processor, run by Faust workers or the embedded loop."""
