"""Every source and job of the project as Airflow DAGs. Nothing to edit: a file dropped into jobs/ appears by itself."""

from headrace.orchestrate.dags import dags

globals().update(dags(__file__))
