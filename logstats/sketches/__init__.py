"""Sketches: pure maths, without input or output.

`loghist` is the latency histogram (after DDSketch), `hll` HyperLogLog, `constants` are those of both.
May use: cache, kernels. Begin with `loghist`.
"""

__all__ = ["constants", "hll", "loghist"]
