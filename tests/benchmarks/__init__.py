"""How quick sopnb is beside its peers: ``python -m tests.benchmarks [names] [--rows N]``. No test is judged by a time.

Peers run in the same process on the same data, in turns, tuned as one would who wants them to win. Trust the ratios of one run, and
nothing across runs; the goals are those of the design.
"""
