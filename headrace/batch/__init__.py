"""Batch views: current tables kept from landing, jobs run on Spark, results written to the lake and published."""
