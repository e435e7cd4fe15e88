"""Redis: the signals, on one server, behind Sentinel or in a cluster."""
