"""`python -m raftsql.server` is the program too: `raftsql up` starts its nodes so."""

import sys

from raftsql.server.cli import main

sys.exit(main())
