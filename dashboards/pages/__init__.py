"""Pages made from a study's comparison: HTML with its style and plots inside, nothing fetched when it is opened.

In: the JSON of a comparison. Out: HTML and SVG. Never: reads a store or computes a figure.
"""
