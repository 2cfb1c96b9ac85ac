"""The registry: which models and versions there are, their weights and licences, and which of them a job gets.

Reads cards and files of weights, and hashes them. Loads neither ONNX nor a runtime: the room `graphs` opens networks.
"""
