"""The whole example under load for a long time: what must not grow does not grow, and in the end all is equal."""
