"""Events of other trackers: each file maps the messages of one source to events of Freshet. Pure."""
