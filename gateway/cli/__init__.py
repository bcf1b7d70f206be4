"""The command line: thin commands over the service.

Data goes to stdout, talk to stderr. A command's module is loaded when the command is called.
"""
