"""The whole system on a recorded stream, without servers."""
