"""`stdet train`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stdet.cli.arguments import add_config, load
from stdet.cli.terminal import say
from stdet.errors import ConfigError

if TYPE_CHECKING:
    from stdet.config import StdetConfig

_RECIPE_NAME = "recipe.yaml"


def add_train(commands: Any) -> None:
    """Add `stdet train`."""
    parser = commands.add_parser(
        "train",
        help="train a detector on frame clips, or on footage without labels",
        description="Train; a killed run goes on from its last finished epoch when the same "
        "command is given again. torchrun runs it on several processes. With --footage videos "
        "without labels are tracked, and what the tracker is sure of is learnt.",
    )
    add_config(parser, "?", what="YAML, such as configs/daub.yaml; may be left out with --footage")
    parser.add_argument(
        "--footage",
        type=Path,
        metavar="DIR",
        help="videos, and folders of images, without labels: learnt beside the data of CONFIG, or "
        "alone, for a few minutes",
    )
    parser.add_argument(
        "--labels-by",
        metavar="NAME",
        help="what labels the footage: weights, from which training then starts, or a classical "
        "detector, such as rpca (stdet_n)",
    )
    parser.add_argument("--run-dir", type=Path, help="folder of the run (runs/<name of CONFIG>)")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace an earlier run; its files are kept until this run has written a checkpoint",
    )
    parser.set_defaults(run=_run_train)


def _run_train(args: argparse.Namespace) -> int:
    from stdet.training.run import train

    if args.config is None and args.footage is None:
        raise ConfigError("train: give a CONFIG, or --footage with a folder of videos.")
    if args.labels_by is not None and args.footage is None:
        raise ConfigError("train: --labels-by says what labels --footage, which is not given.")
    named = args.footage if args.config is None else args.config.with_suffix("")
    run_dir = args.run_dir or Path("runs") / named.resolve().name
    config = load(args) if args.footage is None else _with_footage(args, run_dir)
    result = train(config, run_dir=run_dir, overwrite=args.overwrite)
    if result is not None:
        if result.best_weights is not None:
            say(f"best epoch {result.best['epoch']}: {result.best_weights}")
        say(f"last epoch: {result.last_weights}")
    return 0


def _with_footage(args: argparse.Namespace, run_dir: Path) -> StdetConfig:
    """Label the footage, and return the configuration of a training on it."""
    from stdet.config import load_config, save_config
    from stdet.datasets.splits import find_sequences
    from stdet.files.atomic_file import explain_os_errors
    from stdet.files.locks import lock_folder
    from stdet.inference.checkpoint import load_weights
    from stdet.inference.weights_files import DEFAULT_WEIGHTS, find_weights
    from stdet.training.footage import adapted, check_recipe, find_footage, label_footage
    from stdet.training.run_folder import FOOTAGE_NAME

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(
            "train: --footage is labelled by one process; run it so once, and give torchrun "
            f"{run_dir / FOOTAGE_NAME / _RECIPE_NAME} as CONFIG."
        )
    labels_by = args.labels_by or DEFAULT_WEIGHTS
    given = load(args) if args.config is not None else None
    check_recipe(labels_by, given)
    if given is not None:
        find_sequences(given.data, "train")  # Says what is missing before hours of tracking.
    paths, out = find_footage(args.footage), run_dir / FOOTAGE_NAME
    with explain_os_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    with lock_folder(out, advice="wait for it, or name another --run-dir"):
        labelled = label_footage(paths, out, labels_by=labels_by)
        recipe = load_weights(find_weights(labels_by)).config if given is None else given
        config = adapted(recipe, out, labelled, labels_by=labels_by, is_alone=given is None)
        save_config(config, out / _RECIPE_NAME)
    return load_config(out / _RECIPE_NAME, args.overrides)
