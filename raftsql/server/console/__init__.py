"""The console: a page that shows a cluster, and takes SQL, served by a node that was asked to."""
