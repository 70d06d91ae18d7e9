"""Live views as they run: batch ⊕ speed, divided by a cut in the log, switched in one transaction, and proven equal."""
