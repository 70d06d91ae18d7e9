"""Shows mistakes in the project's files as an import error above Airflow's list of DAGs. Nothing to edit."""

from headrace.orchestrate.dags import mistakes

mistakes(__file__)
