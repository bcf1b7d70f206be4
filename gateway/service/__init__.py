"""Use cases, shared by the command line and every other front end.

Must not know who asks: no terminal, no HTTP, no option names.
"""
