"""What several tasks of a job share. No task of the Dag is here, and nothing here imports one."""
