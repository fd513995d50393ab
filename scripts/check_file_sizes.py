"""Fail if a file named on the command line is larger than 500 kB."""

from __future__ import annotations

import sys
from pathlib import Path

LARGEST_KB = 500

too_large = [name for name in sys.argv[1:] if Path(name).stat().st_size > LARGEST_KB * 1000]
for name in too_large:
    print(f"{name}: larger than {LARGEST_KB} kB; keep data out of git")
sys.exit(bool(too_large))
