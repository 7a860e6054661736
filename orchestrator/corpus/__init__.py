"""A cleaned corpus of many files on many nodes: the steps of `t5core.corpora.c4` as Ray tasks.

In: files of pages and a recipe. Out: shards and a manifest, the same as `t5core clean` gives. Never: knows studies,
plans or their store.
"""
