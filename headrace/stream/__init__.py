"""Stream jobs: alert views that run on Flink, from the bus into PostgreSQL and onto topics of their own."""
