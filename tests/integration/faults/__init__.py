"""Scheduler commands that lie: a program that stands in for them on PATH, and what it does.

``wrapper.py`` is that program, ``plan.py`` puts it in place and tells it what to do,
``catalogue.py`` names the faults.
"""
