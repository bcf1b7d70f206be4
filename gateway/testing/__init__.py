"""Doubles for tests, shipped so that sites and other projects can test with them too.

A double is held to the real parts by the contract tests in ``tests/contract``.
"""
