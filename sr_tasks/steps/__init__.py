"""Steps: one module per task of the Dag. Each loads its records, calls the rooms, stores, returns small JSON.

A step is a transaction: killed at any moment and run again, it ends in the same place. No step imports another one:
what several of them need is in `shared`. `pipeline` runs the steps of a job in one process.
"""
