"""Every log line kept once, in tiers of Parquet files, and one SQL query away.

layout.py      where things lie: tables, tiers, partitions, columns
files.py       the file system: durable writes, one file appearing, deletions
commits.py     the archive's state: a fold of its commits
workspace.py   a writer at work: its lock, its journal, its Parquet files
faults.py      named steps at which a test can raise or kill
"""
