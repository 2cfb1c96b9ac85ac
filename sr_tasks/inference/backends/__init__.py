"""One module per runtime, each the only place that imports its library."""
