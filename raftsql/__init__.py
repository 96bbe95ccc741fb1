"""raftsql: a SQL database for Python people, replicated with Raft.

`import raftsql` is what users type. The names of the driver arrive lazily, so that a server
that imports its own rooms never loads a client, and a client never loads a server.
"""

__version__ = "0.1.0"
