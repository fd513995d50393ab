import os
import subprocess
import sys

import pytest

ENCODE = """
import hashlib
import numpy as np
from scipy.ndimage import gaussian_filter
from stdet.synthesis.sensor import compress

for height, width in ((96, 96), (72, 112), (64, 128), (80, 150)):
    rng = np.random.default_rng(1)
    ground = gaussian_filter(rng.normal(size=(height + 45, width + 45)), 3)
    ground = (ground - ground.min()) / np.ptp(ground) * 200
    views = [ground[t : t + height, t // 2 : t // 2 + width] for t in range(30)]
    noise = rng.normal(size=(30, height, width)) * 3
    frames = np.clip(np.stack(views) + noise, 0, 255).astype(np.uint8)
    print(hashlib.sha256(compress(frames, crf=28)).hexdigest())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library must fill memory by request")
def test_compressed_frames_do_not_depend_on_what_memory_holds():
    found = {
        # glibc fills what it hands out with the complement of this byte.
        subprocess.run(
            [sys.executable, "-c", ENCODE],
            env=os.environ | {"MALLOC_PERTURB_": fill},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for fill in ("85", "170", "255")
    }
    assert len(found) == 1
    assert len(set(found.pop().split())) == 4
