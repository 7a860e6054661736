"""From a command line to an exit code: what `python studies/objectives.py` and `make demo` do.

In: flags. Out: a table, a report, an exit code: 0 done, 1 some rows failed, 2 cannot be done as asked. Never: computes
a result of its own.
"""
