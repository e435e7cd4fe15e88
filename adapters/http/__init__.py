"""HTTP: the application that all processes share, its server and connections, downloads and webhooks."""
