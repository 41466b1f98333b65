"""Everything that crosses Temporal, HTTP or the command line, one file per noun.

Contracts are frozen. Their constructors forbid unknown fields; Temporal's converter ignores them, so that
a worker of yesterday reads a document of today (`docs/decisions/0003-strict-edges.md`).
"""
