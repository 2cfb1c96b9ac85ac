"""Who is told what: alerts of jobs, held back into digests in a storm, by Slack and e-mail. Never fails a job."""
