"""The manual: pages of Markdown in `pages/`, with tables made from the code's own registries.

`topics` finds a page and fills in its tables (`reference`); `markdown` reads it into blocks, which `terminal` shows and
`roff` sets for the man page. A new topic is a new file in `pages/`. What a page shows as run is run by
tests/test_readme.py. May use: everything but the command line, which passes its commands in.
Begin with `topics.page`.
"""

__all__ = ["man_page", "markdown", "reference", "terminal", "topics"]
