"""Compiles a server's own definition of its log (nginx `log_format`, Apache `LogFormat`) to a format.

directive   what was pasted → the server's string       merge     variables that mean something together
nginx       its variables, and strings of them          choose    one of several variables for a role
apache      its directives, and those of its relatives  pattern   text and variables → what an engine reads
strftime    forms of times                              json_template   keys of nginx's JSON templates
shapes      what the values of a variable look like

May use: formats.model, and the delimited engine's pattern. Begin with `compile.compile_log_format`.
"""

__all__ = ["compile"]
