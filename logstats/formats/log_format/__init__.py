"""A server's own definition of its log (nginx `log_format`, Apache `LogFormat`), compiled to a format.

May use: formats.model, and the delimited engine's pattern. Begin with `compile.compile_log_format`.
"""

__all__ = ["compile"]
