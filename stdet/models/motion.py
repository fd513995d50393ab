"""Training-only motion prior: a cross-slice ConvLSTM that the pyramid's maps are pulled towards.

Tensor letters: B batch, T frames, C channels, h w feature size. SSTNet cuts the clip into slices,
runs a ConvLSTM whose cells also see the neighbouring slice, maps its hidden states to the size of
the per-frame features and adds the mean squared difference to the loss.

Our reading keeps that purpose and works at any size: the two slices are the clip read forwards and
backwards; at each frame a cell sees its own state and the other slice's hidden state of the same
frame from the pass before. SSTNet couples slices with attention over a fixed 32 x 32 grid instead,
which ties it to 512 x 512 input.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class CrossSliceConvLstmCell(nn.Module):
    """ConvLSTM cell with a second hidden input from the other slice.

    Args:
        in_channels: Channels of the frame.
        hidden_channels: Channels of the state.
    """

    def __init__(self, in_channels: int, hidden_channels: int) -> None:
        """Build the convolution that yields the four gates."""
        super().__init__()
        self.hidden_channels = hidden_channels
        self.gates = nn.Conv2d(
            in_channels + 2 * hidden_channels, 4 * hidden_channels, 3, padding=1
        )

    def forward(
        self, frame: Tensor, hidden: Tensor, cell: Tensor, other_hidden: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Advance one frame; all maps share (B, ., h, w). Returns the new hidden and cell."""
        gates = self.gates(torch.cat([frame, hidden, other_hidden], dim=1))
        input_gate, forget_gate, output_gate, candidate = gates.chunk(4, dim=1)
        cell = torch.sigmoid(forget_gate) * cell + torch.sigmoid(input_gate) * torch.tanh(
            candidate
        )
        return torch.sigmoid(output_gate) * torch.tanh(cell), cell


class MotionPrior(nn.Module):
    """Predict per-frame feature maps from the frames alone.

    Args:
        in_channels: Channels of the frames.
        hidden_channels: Channels of the ConvLSTM state.
        out_channels: Channels of the pyramid's level.
    """

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int) -> None:
        """Build embedding, the two slices' cells and the output map."""
        super().__init__()
        self.embed = nn.Sequential(
            nn.Conv2d(in_channels, hidden_channels // 2, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(hidden_channels // 2, hidden_channels, 1),
            nn.SiLU(),
        )
        self.forward_cell = CrossSliceConvLstmCell(hidden_channels, hidden_channels)
        self.backward_cell = CrossSliceConvLstmCell(hidden_channels, hidden_channels)
        self.project = nn.Conv2d(2 * hidden_channels, out_channels, 1)

    def forward(self, frames: Tensor, feature_hw: tuple[int, int]) -> Tensor:
        """Predict the pyramid's maps.

        Args:
            frames: (B, T, in_channels, H, W), normalised.
            feature_hw: Size of the maps, h and w.

        Returns:
            (B, T, out_channels, h, w).
        """
        num_frames = frames.shape[1]
        small = F.adaptive_avg_pool2d(rearrange(frames, "b t c h w -> (b t) c h w"), feature_hw)
        steps = rearrange(self.embed(small), "(b t) c h w -> t b c h w", t=num_frames)
        zeros = [torch.zeros_like(steps[0])] * num_frames
        backward = self._read(self.backward_cell, steps.flip(0), zeros)[::-1]
        forward = self._read(self.forward_cell, steps, backward)
        maps = torch.stack([*forward]), torch.stack([*backward])
        both = rearrange(torch.cat(maps, dim=2), "t b c h w -> (b t) c h w")
        out: Tensor = rearrange(self.project(both), "(b t) c h w -> b t c h w", t=num_frames)
        return out

    @staticmethod
    def _read(
        cell_module: CrossSliceConvLstmCell, steps: Tensor, other: list[Tensor]
    ) -> list[Tensor]:
        """Run one slice over (T, B, C, h, w) and return its T hidden states."""
        hidden = cell = torch.zeros_like(steps[0])
        states = []
        for frame, other_hidden in zip(steps, other, strict=True):
            hidden, cell = cell_module(frame, hidden, cell, other_hidden)
            states.append(hidden)
        return states
