"""WHAT CAME OUT: from outcomes to a comparison beside the paper's numbers, noise marked as noise.

In: planned rows, outcomes, per-example scores. Out: a `Comparison`, its table and its JSON. Never: runs, schedules or
writes anything.
"""
