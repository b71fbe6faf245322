"""How good a set of generated sounds is, measured against real ones: distances between the two sets, what sets their
sounds apart in words that a producer knows, and whether any of them is a copy.
"""
