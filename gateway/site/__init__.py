"""The site file: clusters, filesystem, images of one place.

Must not know workflows. Everything else receives a ``Site`` and reads no setting elsewhere.
"""
