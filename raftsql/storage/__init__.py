"""The disk: the Raft journal, the snapshot folder and the data directory that holds both.

Everything this room writes is durable when the call returns, and everything it reads is checked.
The operating system is reached through one seam, `files.Files`.
"""
