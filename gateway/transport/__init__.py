"""Run commands of a scheduler, on this host or on another login node.

Knows processes and ssh. Must not know what the commands mean.
"""
