"""Sketches: pure maths, without input or output.

`loghist` is the latency histogram (after DDSketch), `hll` HyperLogLog. May use: cache, kernels. Begin with `loghist`.
"""

__all__ = ["hll", "loghist"]
