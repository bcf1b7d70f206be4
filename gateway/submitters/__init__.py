"""Send attempts to a scheduler and bring back what it says.

Knows schedulers and the job script. Must not know workflows, engines, containers or the store.
"""
