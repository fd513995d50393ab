"""The changes of `stdet robustness`, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from stdet.changes import geometry, recording, sensor, timing
from stdet.changes.footage import Footage


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of footage.

    Attributes:
        what: In a few words.
        apply: Takes frames and a source of chance, and returns the changed frames.
    """

    what: str
    apply: Callable[[Footage, np.random.Generator], Footage]


UNCHANGED = "none"

CHANGES: Mapping[str, Change] = {
    UNCHANGED: Change(what="frames as they are", apply=lambda footage, rng: footage),
    "roll": Change(
        what="rolling by up to 6 degrees to either side, at most 0.5 a frame",
        apply=partial(geometry.roll, degrees=6.0),
    ),
    "zoom": Change(
        what="zooming from 1.15 to 1.55 in 60 frames and back",
        apply=partial(geometry.zoom, least=1.15, most=1.55),
    ),
    "hand": Change(
        what="hand-held: 3.6 px, 0.25 degrees, 0.3 % (standard deviations)",
        apply=partial(geometry.hand, shift_px=3.6, roll_degrees=0.25, zoom_share=0.003),
    ),
    "jerks": Change(
        what="jerks of 6 to 30 px between two frames, every 15 frames on average",
        apply=partial(geometry.jerks, least_px=6.0, most_px=30.0),
    ),
    "perspective": Change(
        what="perspective that drifts, up to 6 % at the edges",
        apply=partial(geometry.perspective, tilt=0.06),
    ),
    "turned-90": Change(what="turned by 90 degrees", apply=partial(geometry.turn, quarters=1)),
    "turned-180": Change(what="turned by 180 degrees", apply=partial(geometry.turn, quarters=2)),
    "twice": Change(what="twice the size", apply=partial(geometry.resize, factor=2.0)),
    "half": Change(what="half the size", apply=partial(geometry.resize, factor=0.5)),
    "polarity": Change(what="hot and cold swapped", apply=sensor.swap_polarity),
    "noise": Change(
        what="white noise of 4 grey levels", apply=partial(sensor.add_noise, levels=4.0)
    ),
    "stripes": Change(
        what="stripes of 3 grey levels", apply=partial(sensor.add_stripes, levels=3.0)
    ),
    "contrast": Change(
        what="half the contrast", apply=partial(sensor.change_contrast, factor=0.5)
    ),
    "gain": Change(
        what="steps of the gain by 10 to 25 %, every 25 frames on average",
        apply=partial(sensor.step_gain, least=0.1, most=0.25),
    ),
    "jpeg": Change(what="JPEG of quality 35", apply=partial(recording.save_as_jpeg, quality=35)),
    "h264": Change(what="H.264 at CRF 28", apply=partial(recording.save_as_h264, crf=28)),
    "every-2nd": Change(what="every second frame", apply=partial(timing.take_every, step=2)),
    "every-3rd": Change(what="every third frame", apply=partial(timing.take_every, step=3)),
    "dropped": Change(
        what="10 % of the frames lost, up to three in a row", apply=partial(timing.drop, share=0.1)
    ),
    "repeated": Change(
        what="10 % of the frames show the one before",
        apply=partial(timing.repeat, share=0.1),
    ),
    "text": Change(
        what="burnt-in clock, data and reticle", apply=partial(recording.burn_in_text, share=1.0)
    ),
}
