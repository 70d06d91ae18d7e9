"""Specs to Airflow: what is to run when, as DAGs; and the pulse that tells Airflow of new data."""
