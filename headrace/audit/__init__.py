"""Proof: what has arrived where, and whether anything is missing."""
