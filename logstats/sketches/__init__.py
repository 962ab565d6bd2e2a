"""The sketches: pure maths, no input or output, nothing of the rest.

`loghist` is the latency histogram (after DDSketch), `hll` HyperLogLog. May use: cache, kernels. Begin with `loghist`.
"""

__all__ = ["hll", "loghist"]
