"""Optuna over plans: proposes mixtures, takes the scores of finished stages, prunes, goes on where it was stopped.

In: an experiment and a space. Out: a `Search` that steers a run, and its trials as a table. Never: trains anything by
itself; a trial is stages like all others.
"""
