"""The network that a name of weights means: trained ones in PyTorch, exported ones without it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from stdet.config import StdetConfig
from stdet.errors import CheckpointError
from stdet.inference.engines.names import EngineName
from stdet.inference.exported.read import find_exported, load_exported
from stdet.inference.network import Network
from stdet.inference.weights_files import find_weights


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedNetwork:
    """A network and what its weights say.

    Attributes:
        network: Ready to run.
        config: That the weights carry.
        path: Where they were read.
    """

    network: Network
    config: StdetConfig
    path: Path


def has_torch() -> bool:
    """Say whether PyTorch is installed, without importing it."""
    return importlib.util.find_spec("torch") is not None


def uses_torch(weights: str) -> bool:
    """Say whether PyTorch is installed and reads these weights.

    Shipped names mean the trained weights where PyTorch is installed, else their exported form.
    """
    return has_torch() and find_exported(weights, with_shipped=False) is None


def load_network(weights: str, *, device: str, engine: EngineName) -> LoadedNetwork:
    """Load the network that weights describe.

    Args:
        weights: Name of shipped weights, a file of `stdet train`, or what `stdet export` has
            written: its folder, or the metadata in it.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        engine: What runs it; see ``choose_engine`` and ``ExportedNetwork.network``.

    Raises:
        CheckpointError: If the weights cannot be used, or need PyTorch and that is missing.
        ConfigError: If the device or the engine cannot be used.
    """
    path = find_exported(weights, with_shipped=not has_torch())
    if path is not None:
        exported = load_exported(path)
        network = exported.network(device=device, engine=engine)
        return LoadedNetwork(network=network, config=exported.config, path=path)
    path = find_weights(weights)
    if not has_torch():
        raise CheckpointError(
            f"{path}: is read with PyTorch, which is not installed; run `pip install "
            "'stdet[torch]'`, or pass the folder that `stdet export` writes of these weights."
        )
    from stdet.inference.checkpoint import load_detector
    from stdet.inference.trained_network import network_of_weights

    detector, loaded = load_detector(weights)
    return LoadedNetwork(
        network=network_of_weights(detector, loaded, device=device, engine=engine),
        config=loaded.config,
        path=loaded.path,
    )
