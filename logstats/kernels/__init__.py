"""C for what every byte of a log passes: the few functions that look at each line and each text of a row.

`library` loads them and gives each its Python signature; `columns` shares Polars columns with C; `interning` numbers
texts. May use: nothing of the package. Begin with `library`, then `kernels.h`.
"""

__all__ = ["columns", "interning", "library"]
