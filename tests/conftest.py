"""What holds for every test."""

import os
import time

# As in a node: a database is opened for apply in UTC only.
os.environ["TZ"] = "UTC"
time.tzset()
