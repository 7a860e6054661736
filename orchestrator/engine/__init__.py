"""WHO does a stage and WHEN: hands a plan's stages to workers, in this process or on Ray, and says how each ended.

In: a plan and a store. Out: events while it runs, an outcome for every stage at the end. Never: knows what a stage
computes (it calls it by name) or what its result means.
"""
