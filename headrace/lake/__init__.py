"""The only code that opens Delta tables with delta-rs: landing and quarantine, append-only, exactly once."""
