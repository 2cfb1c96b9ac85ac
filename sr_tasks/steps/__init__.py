"""Steps: one module per task of the Dag. Each loads its records, calls the rooms, stores, returns small JSON.

A step is a transaction: killed at any moment and run again, it ends in the same place.
"""
