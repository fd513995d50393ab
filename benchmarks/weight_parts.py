"""Cut a weights file into small half-precision parts, and join parts again.

    python benchmarks/weight_parts.py OUT PART ...

joins: OUT is a weights file that every command of stdet takes. Filters become fp16; biases,
BatchNorm and its statistics, which are few and reach further, keep their type.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from stdet.errors import CheckpointError
from stdet.inference.checkpoint import load_weights, save_weights

LARGEST = 15 * 2**20
"""Bytes of tensors in a part; the rest of 16 MiB is for names and the configuration."""


def main() -> None:
    """Join the parts on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("parts", type=Path, nargs="+")
    args = parser.parse_args()
    join_parts(args.parts, args.out)


def halved(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state with every floating tensor of two axes or more in fp16."""
    return {
        name: value.half() if value.is_floating_point() and value.ndim >= 2 else value
        for name, value in state.items()
    }


def cut(state: Mapping[str, Tensor], largest: int) -> list[dict[str, Tensor]]:
    """Divide a state, in its order, into parts of at most ``largest`` bytes.

    Raises:
        ValueError: If one tensor alone is larger.
    """
    parts: list[dict[str, Tensor]] = []
    left = 0
    for name, value in state.items():
        if value.nbytes > largest:
            raise ValueError(f"{name} has {value.nbytes} bytes; a part holds {largest}.")
        if not parts or value.nbytes > left:
            parts.append({})
            left = largest
        parts[-1][name] = value
        left -= value.nbytes
    return parts


def write_parts(weights: Path, folder: Path, name: str, *, largest: int = LARGEST) -> list[Path]:
    """Write a weights file as ``<folder>/<name>.<number>of<count>.safetensors``."""
    whole = load_weights(weights)
    parts = cut(halved(whole.state), largest)
    paths = []
    for number, part in enumerate(parts, start=1):
        info = {**whole.info, "part": number, "num_parts": len(parts)}
        paths.append(folder / f"{name}.{number}of{len(parts)}.safetensors")
        save_weights(paths[-1], part, whole.config, info)
    return paths


def join_parts(parts: Sequence[Path], out: Path) -> None:
    """Write the parts of one weights file, in any order, as one file in fp32.

    Raises:
        CheckpointError: If they are not all the parts of one file.
    """
    loaded = sorted((load_weights(path) for path in parts), key=lambda part: part.info["part"])
    first = loaded[0]
    numbers = [part.info["part"] for part in loaded]
    if numbers != list(range(1, first.info["num_parts"] + 1)):
        raise CheckpointError(f"{out}: got parts {numbers} of {first.info['num_parts']}.")
    shared = {key: value for key, value in first.info.items() if key != "part"}
    for part in loaded[1:]:
        if part.config != first.config or not shared.items() <= part.info.items():
            raise CheckpointError(f"{part.path}: is of another run than {first.path}.")
    state = {
        name: value.float() if value.dtype == torch.float16 else value
        for part in loaded
        for name, value in part.state.items()
    }
    info = {key: value for key, value in shared.items() if key != "num_parts"}
    save_weights(out, state, first.config, info)


if __name__ == "__main__":
    main()
