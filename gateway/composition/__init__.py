"""The composition root: the only place that knows every adapter and joins them.

Everything is built on first use, so that a command loads only what it needs.
"""
