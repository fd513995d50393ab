import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.datasets.clip_sampler import (
    ClipShape,
    Playback,
    frames_of_clip,
    window_at,
    windows_of_sequence,
)
from stdet.registration.references import reference_steps


@st.composite
def _shapes(draw) -> ClipShape:
    num_frames = draw(st.integers(1, 6))
    return ClipShape(
        num_frames=num_frames,
        frame_stride=draw(st.integers(1, 4)),
        num_future_frames=draw(st.integers(0, num_frames - 1)),
        window_extra=draw(st.integers(0, 4)),
    )


def _keys(shape: ClipShape, num_frames: int) -> list[list[int]]:
    return [
        window.frame_indices[shape.keys].tolist()
        for window in windows_of_sequence(shape, num_frames)
    ]


def test_causal_clip_ends_on_its_key_and_repeats_the_first_frame():
    shape = ClipShape(num_frames=5)
    assert shape.keys.tolist() == [4]
    window = window_at(shape, 2, 10)
    assert window.frame_indices.tolist() == [0, 0, 0, 1, 2]
    assert window.is_padding.tolist() == [True, True, False, False, False]


def test_future_frames_stand_behind_the_key_and_repeat_the_last_frame():
    shape = ClipShape(num_frames=5, num_future_frames=2)
    assert shape.keys.tolist() == [2]
    assert shape.context_steps.tolist() == [-2, -1, 1, 2]
    window = window_at(shape, 8, 10)
    assert window.frame_indices.tolist() == [6, 7, 8, 9, 9]
    assert window.is_padding.tolist() == [False, False, False, False, True]


def test_frame_stride_steps_over_frames():
    window = window_at(ClipShape(num_frames=3, frame_stride=4), 5, 10)
    # 5 - 8 = -3 lies before the sequence.
    assert window.frame_indices.tolist() == [0, 1, 5]
    assert window.is_padding.tolist() == [True, False, False]


def test_window_of_k_more_frames_holds_k_more_keys_with_the_clips_of_each():
    shape = ClipShape(num_frames=3, window_extra=2)
    assert shape.window_length == 5
    assert shape.keys.tolist() == [2, 3, 4]
    assert shape.context.tolist() == [[0, 1], [1, 2], [2, 3]]
    assert window_at(shape, 4, 20).frame_indices.tolist() == [2, 3, 4, 5, 6]


def test_windows_follow_one_another_and_the_last_is_moved_back():
    # 8 frames, 3 keys a window: 0-2, 3-5, and 5-7 instead of 6-8.
    assert _keys(ClipShape(num_frames=3, window_extra=2), 8) == [[0, 1, 2], [3, 4, 5], [5, 6, 7]]
    # 6 frames fit without an overlap.
    assert _keys(ClipShape(num_frames=3, window_extra=2), 6) == [[0, 1, 2], [3, 4, 5]]


def test_every_phase_of_the_frame_stride_has_its_own_windows():
    # 7 frames at stride 3: phases 0 3 6, 1 4 and 2 5; two keys a window.
    shape = ClipShape(num_frames=2, frame_stride=3, window_extra=1)
    assert _keys(shape, 7) == [[0, 3], [3, 6], [1, 4], [2, 5]]


def test_sequence_shorter_than_the_keys_repeats_its_last_frame():
    shape = ClipShape(num_frames=3, window_extra=3)
    (window,) = windows_of_sequence(shape, 2)
    assert window.frame_indices.tolist() == [0, 0, 0, 1, 1, 1]
    assert window.is_padding.tolist() == [True, True, False, False, True, True]


def test_sequence_of_one_frame_is_one_window_and_of_none_is_none():
    shape = ClipShape(num_frames=5, frame_stride=3)
    assert [w.frame_indices.tolist() for w in windows_of_sequence(shape, 1)] == [[0] * 5]
    assert windows_of_sequence(shape, 0) == []


@settings(max_examples=200, deadline=None)
@given(_shapes(), st.integers(1, 25))
def test_no_window_leaves_its_sequence(shape, num_frames):
    for window in windows_of_sequence(shape, num_frames):
        assert len(window.frame_indices) == len(window.is_padding) == shape.window_length
        assert window.frame_indices.min() >= 0
        assert window.frame_indices.max() < num_frames


@settings(max_examples=200, deadline=None)
@given(_shapes(), st.integers(0, 25))
def test_every_frame_is_a_key_frame(shape, num_frames):
    keys = {key for window in _keys(shape, num_frames) for key in window}
    assert keys == set(range(num_frames))


@settings(max_examples=200, deadline=None)
@given(_shapes(), st.integers(1, 25))
def test_padding_only_repeats_the_first_or_the_last_frame(shape, num_frames):
    for window in windows_of_sequence(shape, num_frames):
        indices, is_padding = window.frame_indices, window.is_padding
        assert set(indices[is_padding].tolist()) <= {0, num_frames - 1}
        real = indices[~is_padding]
        assert len(real) > 0
        # Real frames lie side by side and one frame_stride apart; repeats stand outside of them.
        assert (np.diff(real) == shape.frame_stride).all()
        first, last = np.flatnonzero(~is_padding)[[0, -1]]
        assert not is_padding[first : last + 1].any()
        assert (indices[:first] == 0).all()
        assert (indices[last + 1 :] == num_frames - 1).all()


@settings(max_examples=100, deadline=None)
@given(_shapes(), st.integers(1, 25))
def test_clip_of_a_key_within_a_window_is_the_clip_of_that_key_alone(shape, num_frames):
    alone = ClipShape(
        num_frames=shape.num_frames,
        frame_stride=shape.frame_stride,
        num_future_frames=shape.num_future_frames,
    )
    for window in windows_of_sequence(shape, num_frames):
        for position, context in zip(shape.keys, shape.context, strict=True):
            if window.is_padding[position]:
                continue  # The last key repeated in a short sequence.
            key = int(window.frame_indices[position])
            expected = window_at(alone, key, num_frames).frame_indices
            clip = sorted([position, *context])
            assert window.frame_indices[clip].tolist() == expected.tolist()


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_frames": 0},
        {"num_frames": 3, "frame_stride": 0},
        {"num_frames": 3, "window_extra": -1},
        {"num_frames": 3, "num_future_frames": 3},
        {"num_frames": 3, "num_future_frames": -1},
    ],
)
def test_impossible_shape_is_refused(wrong):
    with pytest.raises(ValueError, match="needs"):
        ClipShape(**wrong)


@pytest.mark.parametrize("first_key", [-1, 10])
def test_key_outside_the_sequence_is_refused(first_key):
    with pytest.raises(ValueError, match=r"outside 0\.\.9"):
        window_at(ClipShape(num_frames=3), first_key, 10)


LAGS = (2, 4, 7)


def _references(clip) -> np.ndarray:
    """Return the frame at each position (W,), and its reference frames (W, L)."""
    return clip.frame_indices[clip.window_rows], clip.frame_indices[clip.reference_rows]


def test_reference_frames_before_the_sequence_are_its_first_frame_by_default():
    shape = ClipShape(num_frames=3)
    clip = frames_of_clip(shape, window_at(shape, 4, 20), 20, lags=LAGS)
    frames, references = _references(clip)
    assert frames.tolist() == [2, 3, 4]
    assert references.tolist() == [[0, 0, 0], [1, 0, 0], [2, 0, 0]]
    assert clip.is_padding[clip.reference_rows].tolist() == [
        [False, True, True],
        [False, True, True],
        [False, False, True],
    ]


def test_reference_frames_before_the_sequence_can_be_later_frames():
    shape = ClipShape(num_frames=3)
    clip = frames_of_clip(shape, window_at(shape, 1, 20), 20, lags=LAGS, missing="later_frames")
    frames, references = _references(clip)
    # Position -1 is padded by frame 0, and has its reference frames.
    assert frames.tolist() == [0, 0, 1]
    assert references.tolist() == [[2, 4, 7], [2, 4, 7], [3, 5, 8]]


@settings(max_examples=200, deadline=None)
@given(_shapes(), st.integers(1, 40), st.booleans())
def test_clips_and_streams_have_one_rule_for_reference_frames(shape, num_frames, is_reversed):
    playback = Playback(is_reversed=is_reversed)
    for window in windows_of_sequence(shape, num_frames):
        clip = frames_of_clip(
            shape, window, num_frames, lags=LAGS, missing="later_frames", playback=playback
        )
        for frame, references in zip(*map(np.ndarray.tolist, _references(clip)), strict=True):
            # Reversed, the last frame of the sequence is the first of the stream.
            index = num_frames - 1 - frame if is_reversed else frame
            steps = reference_steps(index, num_frames - 1, LAGS)
            assert references == [frame - step if is_reversed else frame + step for step in steps]


@settings(max_examples=200, deadline=None)
@given(
    _shapes(),
    st.integers(1, 40),
    st.integers(1, 3),
    st.booleans(),
    st.none() | st.integers(-9, 4),
    st.sampled_from(["first_frame", "later_frames"]),
)
def test_reference_frames_are_no_farther_than_lags_a_lost_and_a_padded_frame(
    shape, num_frames, frame_step, is_reversed, lost_before, missing
):
    playback = Playback(frame_step=frame_step, is_reversed=is_reversed, lost_before=lost_before)
    for window in windows_of_sequence(shape, num_frames):
        clip = frames_of_clip(
            shape, window, num_frames, lags=LAGS, missing=missing, playback=playback
        )
        frames, references = _references(clip)
        assert ((references >= 0) & (references < num_frames)).all()
        assert np.abs(references - frames[:, None]).max() < (LAGS[-1] + 2) * frame_step
