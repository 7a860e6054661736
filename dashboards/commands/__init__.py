"""The verbs of ``t5grid``, one file each: status, ui, report, corpus.

In: a verb's flags. Out: what is printed or served. Never: changes a result.
"""
