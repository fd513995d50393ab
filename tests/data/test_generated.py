"""Generated training sequences."""

import numpy as np
import pytest

from stdet.data.generated import NUM_FRAMES, generated_sequences
from stdet.data.memory_source import MemorySource


@pytest.fixture(scope="module")
def sequences():
    return generated_sequences(3, seed=5)


def test_sequences_are_fixed_by_the_seed_and_differ_from_each_other(sequences):
    again = generated_sequences(2, seed=5)
    other = generated_sequences(1, seed=6)
    assert [s.name for s in sequences] == ["generated_5_0", "generated_5_1", "generated_5_2"]
    assert np.array_equal(again[1].read_raw(7), sequences[1].read_raw(7))
    assert not np.array_equal(sequences[0].read_raw(7), sequences[1].read_raw(7))
    assert not np.array_equal(other[0].read_raw(7), sequences[0].read_raw(7))


def test_more_sequences_do_not_change_the_first_ones(sequences):
    assert np.array_equal(generated_sequences(1, seed=5)[0].read(3), sequences[0].read(3))


def test_every_sequence_has_frames_in_unit_range_and_targets_with_identities(sequences):
    for sequence in sequences:
        frame = sequence.read(0)
        assert len(sequence) == NUM_FRAMES
        assert frame.dtype == np.float32
        assert 0 <= frame.min() < frame.max() <= 1
        assert len(sequence.annotation) > 0
        assert sequence.annotation.has_identities


def test_memory_source_streams_what_it_holds():
    images = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    source = MemorySource("three", images, fps=None)
    assert [frame.index for frame in source.frames(1)] == [1, 2]
    assert np.array_equal(next(source.frames(2)).pixels, images[2])
    assert (source.hw, source.num_declared) == ((4, 5), 3)
