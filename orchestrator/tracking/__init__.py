"""A VIEW of the store in MLflow: runs, params, metrics, curves and data, written by the driver alone.

In: planned rows and manifests. Out: MLflow's runs, which can be written again from the store at any time. Never: holds
up or fails a study, or keeps anything that the store does not have.
"""
