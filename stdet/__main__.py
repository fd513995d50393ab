"""`python -m stdet` is the command line."""

import sys

from stdet.cli import main

sys.exit(main())
