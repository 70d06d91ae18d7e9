"""Live views: batch and speed layer of one SELECT, compared and switched at a cut of the log."""
