"""The services of a food-delivery company: they write to their databases and to the bus, and know nothing of Headrace.

`python -m demo --help` says how to run them. What they do follows from the seed and from the ids the database gives.
"""
