"""The edges of a node: what it says to its peers and its clients over gRPC."""
