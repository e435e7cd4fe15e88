"""The settings of all processes: addresses of servers, who we are to them, copies, secrets and plugins."""
