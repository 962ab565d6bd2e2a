"""Thresholds, service level objectives and comparisons, over reports and summaries.

`conditions` is the language that `thresholds` (`--fail-if`), `policy` and `slo` use; `diff` compares two reports with
the tests of `significance`; `*_text` show the results. May use: reports, archive, pipeline, summaries. Begin with
`conditions`.
"""

__all__ = ["conditions", "diff", "diff_text", "policy", "slo", "slo_text", "summarised", "thresholds"]
