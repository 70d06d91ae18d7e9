"""The serving database: schemas and roles, publishing of views in one transaction, reading, and the record of runs."""
