"""Pages of jobs inside Airflow's own API server. Reads job folders, deliveries and Airflow's runs; changes nothing."""
