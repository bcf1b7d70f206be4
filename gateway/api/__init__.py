"""The REANA API over HTTP, for unmodified REANA clients, and additions of ours.

Routes are thin: they read a request, ask the service layer, and write REANA's shape of the answer.
What may happen to a workflow is decided below; this package must not know the store, the
schedulers or the workspace's paths. Facts about the wire are those of reana-client 0.9.6 and
reana-server 0.9.4 (``docs/reference/reana-api.md``).
"""
