"""The command line: parse options, call one function of the library, render. One file per command group.

`main` joins the commands; `options` has those that commands share; `messages` is standard error, `output` standard
output. May use: everything. Begin with `main`, then `report`.
"""

__all__ = ["main"]
