"""The program: settings, command line, and the assembly of a node out of its rooms."""
