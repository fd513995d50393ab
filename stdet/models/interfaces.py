"""What the exchangeable parts of ``ClipDetector`` offer: a pyramid and a temporal module.

Tensor letters: N frames, B keys, T frames of a clip, C channels, h w feature size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

TemporalState = tuple[Tensor, ...]
"""What a recurrent module remembers, each tensor with B first; ``()`` before the first key."""


class Pyramid(Protocol):
    """What every file in ``necks`` offers: one level from the backbone's levels."""

    output_stride: int
    out_channels: int

    def __call__(self, features: Sequence[Tensor]) -> Tensor:
        """Map C1, C2, ... to (N, out_channels, h, w)."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Fused:
    """What a temporal module makes of one key frame per row.

    Attributes:
        features: (B, C, h, w), for the head.
        state: For the next key frame of the same sequence; ``()`` from a module without memory.
    """

    features: Tensor
    state: TemporalState = ()


class Temporal(Protocol):
    """What every file in ``temporal`` offers: features of a key frame from those of its clip.

    A module without memory ignores ``state`` and fuses ``context`` and ``key``. Its keys are
    independent, so ``ClipDetector`` hands over all keys of a batch of windows at once.

    A recurrent module sets ``is_recurrent``. It then gets the key frames of a sequence one after
    another, each with the state that it returned for the key before:

    - In training and in ``ClipDetector.forward``, a window begins with state ``()``, and its keys
      follow in the order of ``keys``. Gradients flow through the state over the whole window. Set
      ``data.window_extra`` to train on more than one key at a time.
    - In a stream, the first frame of a sequence has state ``()``, and the state goes on without
      end; the next sequence begins with ``()`` again.

    With state ``()`` a recurrent module may read ``context``, which is in order of time, to
    begin with a past; at the start of a sequence they repeat the first frame.
    """

    is_recurrent: bool

    def __call__(self, context: Tensor, key: Tensor, state: TemporalState = ()) -> Fused:
        """Fuse.

        Args:
            context: (B, T - 1, C, h, w), the other frames of the clip in order of time.
            key: (B, C, h, w).
            state: Returned for the key before this one; ``()`` for the first.

        Returns:
            Features of the same shape as ``key``, and the state for the next key.
        """
        ...
