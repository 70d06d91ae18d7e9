"""What Prometheus is told of the platform, and what it alerts on."""
