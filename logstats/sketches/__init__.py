"""Sketches: small summaries of long columns that merge, with a stated error. Maths only, nothing of logstats imported.

`loghist` is a histogram of latencies, `hll` counts distinct strings. Import the one that is needed: both load polars.
"""
