"""Release: a version of a model is measured, held against production, tried by some jobs, promoted or taken back."""
