"""A Ray job from a command line: which Ray takes it, one of our own where none runs, the job's lines and how it ended.

In: a command and an address. Out: the job's lines on the screen, its exit code. Never: knows what a study is.
"""
