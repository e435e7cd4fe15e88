"""Jobs: what a schedule or a command runs from end to end."""
