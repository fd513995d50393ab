"""Command line: parse, build one config, call one library function, print.

Results go to stdout, progress and errors to stderr. What ends a command:

    0        done
    1        a bug of ours, with a traceback
    2        the user's to mend, one line: arguments, settings, files, disk; nothing was changed
    3        usable input was read and results were kept, but something is missing (input that
             broke off, an output that could not be written), or a data check found something
    128 + n  signal n: 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP; what was whole is kept; a second
             signal ends the process at once
    141      nobody reads stdout any more (`stdet ... | head`)
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from stdet import __version__
from stdet.cli.ablate import add_ablate
from stdet.cli.bench import add_bench
from stdet.cli.convert import add_convert
from stdet.cli.data import add_data
from stdet.cli.evaluate import add_compare, add_evaluate
from stdet.cli.export import add_export
from stdet.cli.info import add_info
from stdet.cli.page import add_live, add_view
from stdet.cli.robustness import add_robustness
from stdet.cli.synth import add_synth
from stdet.cli.terminal import BROKEN_PIPE_CODE, Parser, close_stdout, complain, prepare_streams
from stdet.cli.track import add_track
from stdet.cli.train import add_train
from stdet.errors import StdetError, reason_of
from stdet.files.atomic_file import is_disk_full, write_problem
from stdet.processes.interrupts import Interrupted, orderly_end

_WITH_TORCH = {"einops", "safetensors", "tensorboard", "torch", "torchvision"}
"""Packages of the extra `torch`, without which networks are tracked with and nothing else."""

_LESS_MEMORY = (
    "use smaller frames or crops, lower train.batch_size, train.num_workers or "
    "data.cache_megabytes, or use the CPU"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    prepare_streams()
    args = build_parser().parse_args(argv)
    try:
        with orderly_end():
            code: int = args.run(args)
            sys.stdout.flush()
    except StdetError as error:
        complain(_one_line(error))
        return error.exit_code
    except BrokenPipeError:
        close_stdout()
        return BROKEN_PIPE_CODE
    except OSError as error:
        line = _system_error(error)
        if line is None:
            raise
        complain(line)
        return 2
    except ModuleNotFoundError as error:
        if error.name not in _WITH_TORCH:
            raise
        complain(
            f"this command needs {error.name}, which is not installed; run `pip install "
            "'stdet[torch]'`."
        )
        return 2
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        complain(f"out of memory ({reason_of(error)}); {_LESS_MEMORY}. {_notes(error)}".rstrip())
        return 2
    except KeyboardInterrupt as interrupt:
        if hasattr(signal, "SIGCHLD"):
            # Loaders of torch complain in a traceback about workers that got the signal as well.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        complain(_interruption(interrupt))
        return interrupt.exit_code if isinstance(interrupt, Interrupted) else 130
    return code


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; nothing heavy is imported, so that --help is instant."""
    parser = Parser(
        prog="stdet", description="Find and track moving infrared small targets in video."
    )
    parser.add_argument("--version", action="version", version=f"stdet {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    adders = (add_track, add_live, add_view, add_convert, add_train, add_evaluate, add_compare)
    more = (add_robustness, add_ablate, add_bench, add_export, add_synth, add_info, add_data)
    for add in (*adders, *more):
        add(commands)
    return parser


def _one_line(error: StdetError) -> str:
    """Return the message, before which a loader process puts its traceback.

    Other messages are left alone: the name of a file may hold several lines.
    """
    kind = f"{type(error).__module__}.{type(error).__name__}: "
    text = str(error)
    if "\nOriginal Traceback " in text:
        return text.rpartition(f"\n{kind}")[2].removesuffix("\n")
    return text


def _system_error(error: OSError) -> str | None:
    """Say what the system refused and where; None where that is no path, so a bug of ours.

    Readers and writers explain most of it themselves; this is for logs and other small files, and
    for what changes under a running command.
    """
    if is_disk_full(error):
        return f"{error.filename or 'output'}: {write_problem(error)}."
    if error.filename is None:
        return None
    return f"{error.filename}: {reason_of(error)}; check the path and its permissions."


def _is_out_of_memory(error: MemoryError | RuntimeError) -> bool:
    """Say whether memory of the machine or of a GPU ran out; torch has no error for the first."""
    is_of_gpu = type(error).__name__ == "OutOfMemoryError"  # torch is not imported for --help.
    return isinstance(error, MemoryError) or is_of_gpu or "not enough memory" in str(error)


def _interruption(interrupt: KeyboardInterrupt) -> str:
    """Say what ended the run and what it has left."""
    notes = _notes(interrupt) or "Finished outputs are kept."
    return f"interrupted ({str(interrupt) or 'SIGINT'}). {notes}"


def _notes(error: BaseException) -> str:
    """Return what was said about an error on its way: what is kept."""
    return " ".join(getattr(error, "__notes__", ()))
