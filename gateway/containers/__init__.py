"""Container images: what a user's words mean, where the image is, and how a command runs in it.

Start with ``reference`` (names), then ``lookup`` (what is there), ``fetch`` (what is not yet) and
``launch`` (argv). Knows no scheduler, no database and no workflow.
"""
