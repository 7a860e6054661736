"""The engine on Ray: starts or joins one, keeps lanes (Ray Train jobs) and slots (Ray tasks) there, and cleans up.

In: a plan and a store that all nodes see. Out: what `orchestrator.engine` gives. Never: uses a private or unstable part
of Ray outside of connect.py.
"""
