"""Plain files: backups, leases, and the lock of a data folder."""
