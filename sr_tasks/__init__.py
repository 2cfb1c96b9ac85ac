"""The Video Super Resolution Enhancer as a pure library: it imports neither Airflow nor a web framework."""

__version__ = "0.1.0"
