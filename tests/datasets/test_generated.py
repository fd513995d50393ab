import pickle

import numpy as np

from stdet.datasets.generated import generated_sequences
from stdet.synthesis import SceneConfig

SMALL = SceneConfig(num_frames=5, hw=(48, 64))


def test_sequences_are_generated_on_first_use_and_alike_in_every_process():
    (first, second) = generated_sequences(2, seed=3, config=SMALL)
    assert len(first) == 5
    copied = pickle.loads(pickle.dumps(first))
    assert len(pickle.dumps(first)) < 20_000  # Settings and a seed, no frames.
    np.testing.assert_array_equal(copied.read_raw(4), first.read_raw(4))
    np.testing.assert_array_equal(copied.annotation.boxes_xyxy, first.annotation.boxes_xyxy)
    assert (first.read_raw(0) != second.read_raw(0)).any()
    assert first.name == first.annotation.name == "generated_3_0"


def test_seed_fixes_the_scenes():
    again = generated_sequences(1, seed=3, config=SMALL)[0]
    other = generated_sequences(1, seed=4, config=SMALL)[0]
    once = generated_sequences(1, seed=3, config=SMALL)[0]
    np.testing.assert_array_equal(once.read_raw(2), again.read_raw(2))
    assert (once.read_raw(2) != other.read_raw(2)).any()


def test_no_sequences_for_none():
    assert generated_sequences(0, seed=0) == []
