"""Faults drawn at random, under load, each followed by proof that nothing was lost and nothing came twice."""
