"""What a run writes while it trains: its configuration, a line per epoch, and curves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from stdet.config import StdetConfig, config_to_yaml
from stdet.files.atomic_file import explain_os_errors, write_whole
from stdet.metrics.counts import without_nan
from stdet.training.run_folder import CONFIG_NAME, METRICS_NAME


class RunLog:
    """Log of one run, written by its first process.

    Args:
        run_dir: Folder of the run.
        config: Of the run; written as YAML.
        num_epochs: Finished before; lines of later epochs are dropped, since they are run again.

    Raises:
        DataError: If a file cannot be written.
    """

    def __init__(self, run_dir: Path, config: StdetConfig, *, num_epochs: int) -> None:
        """Write the configuration, and begin or go on with the log."""
        with explain_os_errors(run_dir):
            run_dir.mkdir(parents=True, exist_ok=True)
        write_whole(run_dir / CONFIG_NAME, config_to_yaml(config).encode())
        self._metrics = run_dir / METRICS_NAME
        lines: list[bytes] = []
        if self._metrics.exists():
            with explain_os_errors(self._metrics):
                lines = self._metrics.read_bytes().splitlines(keepends=True)
        write_whole(self._metrics, b"".join(lines[:num_epochs]))
        self.writer = SummaryWriter(str(run_dir))

    def scalars(self, group: str, values: Mapping[str, float], step: int) -> None:
        """Add a point to the curve of each value."""
        for name, value in values.items():
            self.writer.add_scalar(f"{group}/{name}", value, step)

    def epoch(self, record: Mapping[str, Any]) -> None:
        """Write the line of an epoch: JSON, with null for what is undefined."""
        line = json.dumps(without_nan(dict(record)), allow_nan=False)
        with explain_os_errors(self._metrics), self._metrics.open("a", encoding="ascii") as file:
            file.write(f"{line}\n")

    def move_to(self, run_dir: Path) -> None:
        """Go on in another folder, into which the files of this one were copied."""
        self.writer.close()
        self._metrics = run_dir / METRICS_NAME
        self.writer = SummaryWriter(str(run_dir))

    def close(self) -> None:
        """Write out the curves."""
        self.writer.close()
