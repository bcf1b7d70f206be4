"""Prove a site: one check after the other, each with what to do if it fails.

Knows what the gateway needs of a place. What the outside world is comes in through ``tools``.
"""
