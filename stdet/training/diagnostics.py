"""How gradients travel through the pyramid, measured on one fixed batch after every epoch.

Everything runs on a copy of what is trained, in fp32, so that training is not touched: neither
weights nor BatchNorm statistics nor random numbers. Symbols: a source is one loss (detection,
motion, consistency); a part is one stage of the backbone, the pyramid, ...; a level is a C_i that
feeds the pyramid. v_i is the gradient that level i hands to the stem, whose weights all levels
share: dL/dstem with C_i as the only level that passes gradient. The cosine of v_i and v_j says
whether two levels ask the backbone for the same (1) or for the opposite (-1). A shortcut hands 0
to the level that it reads where it is isolated. For DGR's ``project`` the levels are as they are
before projection: that is the conflict which it takes out.

Source: conflict of gradients as a negative cosine, Yu et al. 2020 (arXiv 2001.06782), there
between tasks.
"""

from __future__ import annotations

import copy
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.tensorboard import SummaryWriter

from stdet.datasets.clip_dataset import ClipDataset, collate
from stdet.datasets.clips import ClipBatch
from stdet.files.atomic_file import write_whole
from stdet.metrics.counts import without_nan
from stdet.models.necks.bp_fpn import BpFpn
from stdet.processes.workers import start_worker
from stdet.training.run_folder import DIAGNOSTICS_NAME, FEATURES_NAME
from stdet.training.step import TrainingStep

NUM_WINDOWS = 2
"""Windows of the fixed batch."""
_TILE_PX = 256
"""Least side of a tile of the image, pixels."""


class Diagnostics:
    """Measures one run.

    Args:
        dataset: Of the run; its windows at one and two thirds make the fixed batch.
        num_workers: Loader processes of the run; the batch is loaded as the run loads its own, so
            that this process opens no reader that later ones would inherit.
        context: As the training step takes them.
        keys: As the training step takes them.
        device: Of the run.
        run_dir: Folder for the file and the images.
    """

    def __init__(
        self,
        dataset: ClipDataset,
        *,
        num_workers: int,
        context: Tensor,
        keys: Tensor,
        device: torch.device,
        run_dir: Path,
    ) -> None:
        """Remember where the batch comes from; it is loaded when it is first needed."""
        places = range(1, NUM_WINDOWS + 1)
        samples = [(0, len(dataset) * place // (NUM_WINDOWS + 1)) for place in places]
        self.loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_sampler=[samples],
            num_workers=min(num_workers, 1),
            collate_fn=collate,
            worker_init_fn=start_worker,
            generator=torch.Generator().manual_seed(0),  # The global one is the run's.
        )
        self.dataset = dataset
        self.batch: ClipBatch | None = None
        self.places = (context, keys)
        self.device = device
        self.run_dir = run_dir

    def trim(self, epoch: int) -> None:
        """Drop what was measured after an epoch, where a resumed run goes back to it."""
        path = self.run_dir / DIAGNOSTICS_NAME
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            write_whole(path, "".join(lines[:epoch]).encode())

    def measure(self, step_module: TrainingStep, epoch: int, writer: SummaryWriter | None) -> None:
        """Measure gradients and draw features.

        Args:
            step_module: What is trained; a copy is measured. In a run of several processes all of
                them come here, since losses and statistics are joint.
            epoch: Epochs that are finished.
            writer: Of the first process, which alone writes; None in others.
        """
        if self.batch is None:
            (batch,) = self.loader
            self.batch = replace(batch, frames=self.dataset.to_input(batch.frames))
        record = {"epoch": epoch, **measure_gradients(step_module, self.batch, self.places)}
        if writer is None:
            return
        with (self.run_dir / DIAGNOSTICS_NAME).open("a", encoding="utf-8") as file:
            file.write(json.dumps(without_nan(record), allow_nan=False) + "\n")
        for name, value in _scalars(record):
            writer.add_scalar(f"gradients/{name}", value, epoch)
        key = int(self.places[1][0])
        grid = draw_features(step_module, self.batch.frames[0, key : key + 1].to(self.device))
        (self.run_dir / FEATURES_NAME).mkdir(exist_ok=True)
        Image.fromarray(grid).save(self.run_dir / FEATURES_NAME / f"epoch{epoch:04d}.png")
        writer.add_image("features", grid, epoch, dataformats="HW")


def measure_gradients(
    step_module: TrainingStep, batch: ClipBatch, places: tuple[Tensor, Tensor]
) -> dict[str, Any]:
    """Return shares of gradient norms and cosines of one batch.

    Args:
        step_module: Left as it is.
        batch: Windows.
        places: References and keys, as the training step takes them.

    Returns:
        ``sources``: for each loss its gradient ``norm``, the share of each of ``parts`` and of
        each of ``levels`` in the sum of their norms, and the ``cosines`` of pairs of levels, None
        where one is 0. ``source_shares``: of each loss in the sum of norms. ``source_cosines``: of
        pairs of losses, over the backbone.
    """
    module = copy.deepcopy(step_module).train()
    device = module.detector.pixel_mean.device
    frames = batch.frames.to(device)
    flat = module.normalised(frames)
    levels = module.detector.backbone(flat)
    # Cut here, every level can be followed to the stem alone.
    leaves = [level.detach().requires_grad_() for level in levels]
    targets = [target.to(device) for target in batch.targets]
    terms = module.losses_from_levels(leaves, flat, len(frames), *places, targets)
    detection = terms.total - terms.motion - terms.consistency
    losses = {"detection": detection, "motion": terms.motion, "consistency": terms.consistency}
    sources, whole = {}, {}
    for name, loss in losses.items():
        if not loss.requires_grad:
            continue
        sources[name], whole[name] = _measure_source(module, loss, levels, leaves)
    norms = {name: source["norm"] for name, source in sources.items()}
    return {
        "sources": sources,
        "source_shares": _shares(norms),
        "source_cosines": _cosines(whole),
    }


def _measure_source(
    module: TrainingStep, loss: Tensor, levels: Sequence[Tensor], leaves: Sequence[Tensor]
) -> tuple[dict[str, Any], Tensor]:
    """Return the figures of one loss, and its gradient over the backbone as one vector."""
    others = {
        name: parameter
        for name, parameter in module.named_parameters()
        if not name.startswith("detector.backbone.")
    }
    found = torch.autograd.grad(
        loss, [*leaves, *others.values()], retain_graph=True, allow_unused=True
    )
    at_levels, at_others = found[: len(leaves)], found[len(leaves) :]
    backbone = dict(module.detector.backbone.named_parameters())
    at_backbone = _through(levels, at_levels, list(backbone.values()))
    squares: dict[str, float] = {}
    named = {
        f"detector.backbone.{name}": grad for name, grad in zip(backbone, at_backbone, strict=True)
    }
    named |= dict(zip(others, at_others, strict=True))
    for name, grad in named.items():
        part = _part_of(name)
        square = 0.0 if grad is None else float(grad.double().square().sum())
        squares[part] = squares.get(part, 0.0) + square
    stem = list(module.detector.backbone.stem.parameters())
    handed = {
        name: _flat(_through([levels[i]], [at_levels[i]], stem), stem)
        for i, name in _level_names(module).items()
    }
    figures = {
        "norm": sum(squares.values()) ** 0.5,
        "parts": _shares({part: square**0.5 for part, square in squares.items()}),
        "levels": _shares({name: float(vector.norm()) for name, vector in handed.items()}),
        "cosines": _cosines(handed),
    }
    return figures, _flat(at_backbone, list(backbone.values()))


def _through(
    levels: Sequence[Tensor], grads: Sequence[Tensor | None], parameters: Sequence[Tensor]
) -> Sequence[Tensor | None]:
    """Return the gradients of parameters for gradients of levels, None for no path."""
    pairs = [(level, grad) for level, grad in zip(levels, grads, strict=True) if grad is not None]
    if not pairs:
        return [None] * len(parameters)
    outputs, grad_outputs = zip(*pairs, strict=True)
    return torch.autograd.grad(
        outputs, parameters, grad_outputs, retain_graph=True, allow_unused=True
    )


def _flat(grads: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> Tensor:
    """Return all gradients as one float64 vector, zeros for None."""
    return torch.cat(
        [
            (torch.zeros_like(parameter) if grad is None else grad).detach().double().flatten()
            for grad, parameter in zip(grads, parameters, strict=True)
        ]
    )


def _part_of(name: str) -> str:
    """Return the part that a parameter of the training step belongs to."""
    words = name.split(".")
    if words[0] != "detector":
        return {"prior": "motion prior", "consistency": "consistency"}[words[0]]
    if words[1] == "backbone":
        return "C1" if words[2] == "stem" else f"C{int(words[3]) + 2}"
    if words[1] == "neck":
        return "shortcut" if words[2] == "shortcut" else "pyramid"
    return words[1]


def _level_names(module: TrainingStep) -> dict[int, str]:
    """Return the levels that feed the pyramid, by their place; that of a shortcut says so."""
    detector = module.detector
    first = detector.backbone.feature_strides.index(detector.neck.output_stride)
    names = {i: f"C{i + 1}" for i in range(first, len(detector.backbone.channels))}
    if isinstance(detector.neck, BpFpn) and detector.neck.shortcut is not None:
        names = {first - 1: f"C{first} by shortcut", **names}
    return names


def _shares(norms: Mapping[str, float]) -> dict[str, float]:
    """Return each norm over the sum of all."""
    total = sum(norms.values())
    return {name: norm / total if total else 0.0 for name, norm in norms.items()}


def _cosines(vectors: Mapping[str, Tensor]) -> dict[str, float | None]:
    """Return the cosine of every pair, None where a vector is 0."""
    found: dict[str, float | None] = {}
    for (one, a), (other, b) in itertools.combinations(vectors.items(), 2):
        norms = float(a.norm() * b.norm())
        found[f"{one} and {other}"] = float(a @ b) / norms if norms else None
    return found


def _scalars(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """Return every defined number of a record with its path."""
    found = []
    for name, value in record.items():
        if isinstance(value, Mapping):
            found += _scalars(value, f"{prefix}{name}/")
        elif isinstance(value, float):
            found.append((f"{prefix}{name}".replace(" ", "_"), value))
    return found


@torch.no_grad()
def draw_features(step_module: TrainingStep, frame: Tensor) -> np.ndarray:
    """Draw the pyramid's output for one frame, with and without the shortcut.

    Args:
        step_module: Left as it is.
        frame: (1, C, H, W), as the detector takes it.

    Returns:
        Grey uint8 image: the frame, the mean absolute feature of each cell, and, where there is a
        shortcut, the same without it on the same scale and the absolute difference.
    """
    detector = copy.deepcopy(step_module.detector).eval()
    maps = {"output level": _strength(detector.frame_features(frame))}
    neck = detector.neck
    if isinstance(neck, BpFpn) and neck.shortcut is not None:
        with_it = detector.frame_features(frame)
        neck.shortcut = None
        without = detector.frame_features(frame)
        maps = {
            "with GILS": _strength(with_it),
            "without GILS": _strength(without),
            "difference": _strength(with_it - without),
        }
    most = max(float(image.max()) for image in maps.values()) or 1.0
    grey = frame[0, 0]  # Further channels repeat it or are background features.
    height = len(grey) * math.ceil(_TILE_PX / max(grey.shape))
    tiles = [_tile("frame", grey / max(float(grey.max()), 1e-6), height)]
    tiles += [_tile(name, image / most, height) for name, image in maps.items()]
    return np.hstack([np.pad(tile, ((0, 0), (0, 4))) for tile in tiles])


def _strength(level: Tensor) -> Tensor:
    """Return the mean absolute value over channels, (h, w)."""
    return level[0].abs().mean(dim=0)


def _tile(title: str, values: Tensor, height: int) -> np.ndarray:
    """Return a map in [0, 1] as a titled image, uint8, enlarged to a multiple of its height."""
    image = (values.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    factor = height // len(image)
    image = image.repeat(factor, axis=0).repeat(factor, axis=1)
    canvas = Image.fromarray(np.pad(image, ((18, 0), (0, 0))))
    ImageDraw.Draw(canvas).text((4, 3), title, fill=255)
    return np.asarray(canvas)
