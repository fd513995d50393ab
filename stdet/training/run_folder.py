"""The folder of a run: which files in it are the run's own, and how a new run takes their place.

A run that replaces another is written into ``NEW_NAME`` inside the folder until its first
checkpoint stands. Then its files are copied over those of the old run, each at once, and only
after that is ``NEW_NAME`` removed: whenever a process is killed, one of the two runs is whole. A
copy that was broken off is finished by whichever run opens the folder next.

No other files are ever removed or written.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from stdet.config import StdetConfig, config_to_dict, load_config
from stdet.errors import ConfigError
from stdet.files.atomic_file import explain_os_errors, remove_leftovers, write_whole
from stdet.files.locks import FOLDER_LOCK_NAME, lock_folder
from stdet.files.regular_file import file_mode, require_regular_file
from stdet.files.yaml_file import read_yaml

log = logging.getLogger(__name__)

CONFIG_NAME = "config.yaml"
RESUME_NAME = "resume.pt"
BEST_NAME = "best.safetensors"
LAST_NAME = "last.safetensors"
METRICS_NAME = "metrics.jsonl"
DIAGNOSTICS_NAME = "diagnostics.jsonl"
FEATURES_NAME = "features"
"""Folder of the images of the diagnostics."""
LEFT_OUT_NAME = "left_out"
"""Folder of the detections of `stdet ablate` on what its fold leaves out."""
FOOTAGE_NAME = "footage"
"""Folder of the labels of footage that had none; they stay when another run takes its place."""
NEW_NAME = ".stdet-new-run"
"""Folder of a run that replaces another, until its first checkpoint stands."""
_MAY_BE_THERE = (FOLDER_LOCK_NAME, NEW_NAME, FOOTAGE_NAME)
"""What a folder may hold that no run has written to."""

_OWN_FILES = re.compile(
    r"config\.yaml|resume\.pt|best\.safetensors|last\.safetensors|metrics\.jsonl"
    r"|diagnostics\.jsonl|report_(validation|test)\.json|events\.out\.tfevents\.[0-9].*"
)
_OWN_FOLDERS = {
    FEATURES_NAME: re.compile(r"epoch[0-9]+\.png"),
    LEFT_OUT_NAME: re.compile(r".+\.(truth|motions|detections)\.json"),
}


def own_files(folder: Path) -> list[Path]:
    """List the files of a run, relative to its folder; ``resume.pt``, which says it all, is last.

    The reports and detections of `stdet ablate` belong to the run that they score.
    """
    found = [path for path in _listed(folder) if _OWN_FILES.fullmatch(path.name)]
    for name, own in _OWN_FOLDERS.items():
        inner = folder / name
        if inner.is_dir() and not inner.is_symlink():
            found += [path for path in _listed(inner) if own.fullmatch(path.name)]
    names = sorted(path.relative_to(folder) for path in found if not _is_folder(path))
    return sorted(names, key=lambda name: name.name == RESUME_NAME)


def check_same_run(config: StdetConfig, run_dir: Path, *, ignored: Collection[str] = ()) -> None:
    """Refuse a folder whose run has finished an epoch with another configuration.

    Args:
        config: The resolved configuration.
        run_dir: Folder of the run.
        ignored: Sections and dotted names of values that may differ.

    Raises:
        ConfigError: Naming the values that differ; or if weights or a configuration stand there
            that this run would write over and not go on from.
    """
    names = own_files(run_dir) if run_dir.is_dir() else []
    for name in names:
        if name.name != RESUME_NAME:  # Checked where it is read.
            require_regular_file(
                run_dir / name, advice="move it out of the folder", kind=ConfigError
            )
    if file_mode(run_dir / CONFIG_NAME, kind=ConfigError) is not None:
        _require_config_of_a_run(run_dir / CONFIG_NAME)
    weights = [name for name in (BEST_NAME, LAST_NAME) if (run_dir / name).exists()]
    if names and not (run_dir / CONFIG_NAME).exists() and not (run_dir / RESUME_NAME).exists():
        raise ConfigError(
            f"{run_dir}: holds {', '.join(map(str, names[:5]))} but no {CONFIG_NAME}, so that "
            "they are of no run, which would write over them; choose another --run-dir."
        )
    if not (run_dir / RESUME_NAME).exists() and not weights:
        return
    if not (run_dir / RESUME_NAME).exists() and not _is_in_first_epoch(run_dir):
        raise ConfigError(
            f"{run_dir}: holds {' and '.join(weights)} but no {RESUME_NAME} to go on from; choose "
            "another --run-dir, or delete them (train: --overwrite) to start anew."
        )
    if not (run_dir / CONFIG_NAME).exists():
        raise ConfigError(
            f"{run_dir}: holds {RESUME_NAME} but no {CONFIG_NAME}, so that its run is unknown; "
            "choose another --run-dir, or delete it to start anew."
        )
    # Values that are newer than the run: the defaults.
    old = config_to_dict(_config_of_run(run_dir))
    changed = sorted(
        name
        for name in _differences(old, config_to_dict(config))
        if name not in ignored and name.partition(".")[0] not in ignored
    )
    if changed:
        raise ConfigError(
            f"{run_dir}: holds a run with other values of {', '.join(changed)}; choose another "
            "--run-dir, or delete it (train: --overwrite) to start anew."
        )


@contextlib.contextmanager
def hold_run_folder(config: StdetConfig, run_dir: Path, *, overwrite: bool) -> Iterator[None]:
    """Be the only run in a folder until the block ends; it is created.

    With ``overwrite`` the earlier run stays as it is; the new one goes to ``NEW_NAME``, and to its
    place with ``settle``. Where the block ends before its first checkpoint stands, it is removed.

    Raises:
        ConfigError: If the folder cannot be one, holds a run of another configuration, or, with
            ``overwrite``, holds other files and no run.
        DataError: If another run writes there, or the folder cannot be written.
    """
    mode = file_mode(run_dir, kind=ConfigError)
    if not _is_utf8(run_dir):
        raise ConfigError(
            f"{run_dir}: the name is not UTF-8, which curves of TensorBoard need; name another "
            "folder with --run-dir."
        )
    if mode is None and run_dir.is_symlink():
        raise ConfigError(f"{run_dir}: is a link to nothing; name a folder with --run-dir.")
    if mode is not None and not run_dir.is_dir():
        raise ConfigError(f"{run_dir}: is no folder; name a folder with --run-dir.")
    with contextlib.ExitStack() as on_exit:
        with explain_os_errors(run_dir):
            run_dir.mkdir(parents=True, exist_ok=True)
        if mode is None:
            on_exit.callback(_remove_if_empty, run_dir)  # Where the run fails before it began.
        on_exit.enter_context(
            lock_folder(run_dir, advice="wait for it, or name another --run-dir")
        )
        _finish_interrupted(run_dir)
        remove_leftovers(run_dir, _OWN_FILES)
        if overwrite:
            _check_replaceable(run_dir)
            with explain_os_errors(run_dir / NEW_NAME):
                (run_dir / NEW_NAME).mkdir()
            on_exit.callback(_drop_unfinished, run_dir)
        else:
            check_same_run(config, run_dir)
        yield


def _config_of_run(run_dir: Path) -> StdetConfig:
    """Read the configuration of a run, which may be of an earlier version of stdet."""
    try:
        return load_config(run_dir / CONFIG_NAME)
    except ConfigError as error:
        raise ConfigError(
            f"{error} If an earlier version began this run, correct its {CONFIG_NAME}, choose "
            "another --run-dir or pass --overwrite."
        ) from error


def _is_utf8(path: Path) -> bool:
    """Say whether a path is UTF-8, made absolute as libraries do."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        return False
    return True


def settle(run_dir: Path) -> None:
    """Put the files of the new run in the place of the old one's.

    Raises:
        DataError: If they cannot be written; the new run stays in ``NEW_NAME``.
    """
    new = run_dir / NEW_NAME
    files = own_files(new)
    for name in files:
        with explain_os_errors(run_dir / name):
            (run_dir / name).parent.mkdir(exist_ok=True)
            content = (new / name).read_bytes()
        write_whole(run_dir / name, content)
    with explain_os_errors(run_dir):
        for name in own_files(run_dir):
            if name not in files:
                (run_dir / name).unlink()
    _remove_new(run_dir)


def _finish_interrupted(run_dir: Path) -> None:
    """Finish what a killed process left: settle a new run that is whole, remove any other."""
    new = run_dir / NEW_NAME
    if new.is_symlink() or not new.is_dir():
        return
    if (new / RESUME_NAME).exists():
        log.warning("%s: a new run was about to replace the one there; it does now.", run_dir)
        settle(run_dir)
    else:
        _remove_new(run_dir)


def _drop_unfinished(run_dir: Path) -> None:
    """Remove the new run unless its first checkpoint stands: then it may be half in its place."""
    if not (run_dir / NEW_NAME / RESUME_NAME).exists():
        _remove_new(run_dir)


def _remove_new(run_dir: Path) -> None:
    """Remove the new run, its ``resume.pt`` first: without it the rest is nothing."""
    new = run_dir / NEW_NAME
    if not new.is_dir():
        return
    with explain_os_errors(new):
        (new / RESUME_NAME).unlink(missing_ok=True)
        shutil.rmtree(new)


def _remove_if_empty(run_dir: Path) -> None:
    with contextlib.suppress(OSError):
        run_dir.rmdir()


def _check_replaceable(run_dir: Path) -> None:
    """Refuse to write over what no run has written."""
    if file_mode(run_dir / CONFIG_NAME, kind=ConfigError) is not None:
        _require_config_of_a_run(run_dir / CONFIG_NAME)
    elif any(path.name not in _MAY_BE_THERE for path in _listed(run_dir)):
        raise ConfigError(
            f"{run_dir}: holds no run to replace (no {CONFIG_NAME}); choose another."
        )


def _require_config_of_a_run(path: Path) -> None:
    """Refuse a configuration that no run has saved: one of a run names every section."""
    values = read_yaml(path)
    sections = config_to_dict(StdetConfig()).keys()
    if not isinstance(values, Mapping) or not sections <= values.keys():
        raise ConfigError(
            f"{path}: was not written by a run, which would write over it; choose another "
            "--run-dir."
        )


def _is_in_first_epoch(run_dir: Path) -> bool:
    """Say whether the run was killed while it saved its first epoch."""
    path = run_dir / METRICS_NAME
    if not path.is_file() or not (run_dir / CONFIG_NAME).exists():  # A run begins with both.
        return False
    with explain_os_errors(path), path.open("rb") as file:
        return len(file.readlines()) <= 1


def _differences(old: Any, new: Any, path: str = "") -> set[str]:
    """Return the dotted names of values that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {
            name
            for key in old.keys() | new.keys()
            for name in _differences(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
        }
    return set() if old == new else {path}


def _listed(folder: Path) -> list[Path]:
    with explain_os_errors(folder):
        return list(folder.iterdir())


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
