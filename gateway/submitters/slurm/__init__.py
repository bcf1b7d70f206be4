"""Slurm through its command line tools: argv builders, parsers and tables, and the calls."""
