"""Folders of still pictures as jobs: listed, enlarged in shards, reported. Each picture by the steps of a job."""
