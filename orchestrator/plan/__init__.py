"""WHAT is to be done: a study, a scale and seeds become a graph of stages named by what determines them.

In: frozen values, a study's rows and a scale's experiment. Out: a `Plan`, in JSON and back. Never: runs anything, reads
a store, or knows Ray or MLflow.
"""
