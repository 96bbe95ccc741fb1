"""The replica: consensus, disk and database joined into something that serves."""
