"""Plain files: backups, leases, the lock of a data folder, and addresses that fsspec reaches."""
