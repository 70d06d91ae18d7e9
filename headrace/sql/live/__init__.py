"""Live views: one SELECT as an algebra of signed changes, and its text for Spark, Flink and PostgreSQL.

`parse.py` reads the SELECT into `tree.View`, or says what of it can't be kept exact. `spark.py`, `flink.py` and, for
PostgreSQL, `tables.py` and `postgres.py` write their texts from that tree. Pure functions: no engine, no file.
"""
