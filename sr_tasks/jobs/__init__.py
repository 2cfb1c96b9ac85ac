"""Jobs: what is asked for (JobSpec), where it stands (status), and what is kept of it (folder, manifest)."""
