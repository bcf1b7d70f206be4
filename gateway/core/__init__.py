"""The state machine: what to send, what to ask, what follows from what was seen.

``verdict`` and ``policy`` are pure. The rest works on the store and on the contracts of
submitters, containers and engines, which it is given; it must not know which ones they are.
"""
