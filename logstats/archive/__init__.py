"""Every log line kept once, in tiers of Parquet files, and one SQL query away.

what there is           layout.py      tables, tiers, partitions, columns
                        commits.py     the archive's state: a fold of its commits
                        files.py       the file system: durable writes, one file appearing, deletions
who writes              workspace.py   a writer at work: its lock, its journal, its Parquet files
                        init.py, add.py
                        sources.py     which part of a source is known; compare.py where digests cannot tell
                        partitions.py  rows and rollups of any spread of times, in bounded memory
                        rollups.py     the summaries that stay when the rows are gone
what becomes of files   compact.py, lifecycle.py, tier.py, sweep.py
who reads               catalog.py, query.py, reading.py, report.py, status.py, verify.py
faults.py               named steps at which a test can raise or kill
"""
