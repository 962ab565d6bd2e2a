"""Thresholds, service level objectives and comparisons, over reports and summaries.

`expressions` is the one small language that `thresholds` (`--fail-if`), `policy` and `slo` use; `diff` compares two
reports with the tests of `significance`; `*_text` say the results.
May use: reports, archive, pipeline, summaries. Begin with `expressions`.
"""

__all__ = ["diff", "diff_text", "expressions", "policy", "slo", "slo_text", "summarised", "thresholds"]
