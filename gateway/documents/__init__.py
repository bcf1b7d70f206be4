"""Documents that people write in YAML: read with positions, checked, explained in plain words.

Shared by the specification and the site file. Must not know what either of them says.
"""
