"""Pulls of sources without a log: what they have that no pull has brought, onto the bus, exactly once."""
