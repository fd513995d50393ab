"""Command line: parse, build one config, call one library function, print.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done; 2 the user's mistake, one
line; 3 usable input was read and kept, but some was missing, or a data check found something
wrong; 130 interrupted; 1 a bug.
"""

from __future__ import annotations

import argparse
import errno
import logging
import sys
from collections.abc import Sequence

from stdet import __version__
from stdet.cli.ablate import add_ablate
from stdet.cli.data import add_data
from stdet.cli.evaluate import add_compare, add_evaluate
from stdet.cli.info import add_info
from stdet.cli.synth import add_synth
from stdet.cli.track import add_track
from stdet.cli.train import add_train
from stdet.errors import StdetError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = build_parser()
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        code: int = args.run(args)
    except StdetError as error:
        print(f"stdet: {_one_line(error)}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            print(f"stdet: {error.filename}: name too long; check the path.", file=sys.stderr)
            return 2
        # Writers explain a full disk themselves; this is for logs and other small files.
        if error.errno != errno.ENOSPC:
            raise
        print(
            f"stdet: {error.filename or 'output'}: disk full; free some space and run again.",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("stdet: interrupted; finished outputs are kept.", file=sys.stderr)
        return 130
    return code


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; nothing heavy is imported, so that --help is instant."""
    parser = argparse.ArgumentParser(
        prog="stdet", description="Find and track moving infrared small targets in video."
    )
    parser.add_argument("--version", action="version", version=f"stdet {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    adders = (add_track, add_train, add_evaluate, add_compare, add_ablate, add_synth)
    for add in (*adders, add_info, add_data):
        add(commands)
    return parser


def _one_line(error: StdetError) -> str:
    """Return the message, before which a loader process puts its traceback."""
    last = str(error).splitlines()[-1]
    return last.removeprefix(f"{type(error).__module__}.{type(error).__name__}: ")
