"""logstats: statistics of web access logs."""

__version__ = "0.1.0"
