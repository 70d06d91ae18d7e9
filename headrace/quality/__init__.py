"""Quality checks of contracts, run by Great Expectations. Only `expect` imports it: that takes seconds."""
