"""Files of workspaces: layout, staging, listing, upload, download, removal.

Knows the filesystem only. Must not know workflows, jobs or the wire. Names from outside are
walked component by component with directory descriptors; nothing follows a link out of a
workspace.
"""
