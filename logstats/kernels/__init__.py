"""The functions in C, through which every line and every text of a row passes.

`library` loads them and gives each its Python signature; `columns` shares Polars columns with C, by the structures of
`arrow`; `interning` numbers texts; `tallies` counts numbers; `counting` makes the tables of a report of a chunk at
once. May use: nothing of the package. Begin with `library`, then `kernels.h`.
"""

__all__ = ["columns", "counting", "interning", "library", "tallies"]
