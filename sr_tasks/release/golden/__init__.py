"""The golden set: scenes whose truth is known, degraded, enlarged by a version and measured against the truth."""
