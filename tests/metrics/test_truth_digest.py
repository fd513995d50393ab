from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stdet.metrics.truth_digest import digest_all, digest_truth
from stdet.types import UNKNOWN_TRACK_ID, SequenceAnnotation

ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 200), st.integers(0, 200), st.integers(0, 2)),
    min_size=1,
    max_size=12,
    unique=True,
)


def truth_of(rows, *, name="a", num_frames=10, shift=0.0):
    rows = sorted(rows, key=lambda row: row[0])
    boxes = [(x + shift, y, x + shift + 5, y + 6) for _, x, y, _ in rows]
    return SequenceAnnotation(
        name=name,
        num_frames=num_frames,
        image_hw=(300, 300),
        fps=None,
        frame_indices=np.array([row[0] for row in rows], np.int64),
        track_ids=np.full(len(rows), UNKNOWN_TRACK_ID, np.int64),
        boxes_xyxy=np.array(boxes, np.float32),
        class_ids=np.array([row[3] for row in rows], np.int64),
        is_ignored=np.zeros(len(rows), np.bool_),
    )


@given(ROWS, st.randoms())
def test_digest_is_of_the_boxes_in_any_order_and_under_any_name(rows, random):
    usual = digest_truth(truth_of(rows))
    random.shuffle(rows)
    # Less than half a hundredth of a pixel is how a width is written, not another box.
    assert digest_truth(truth_of(rows, name="b", shift=0.003)) == usual
    assert (usual.num_frames, usual.num_boxes) == (10, len(rows))


@given(ROWS)
def test_another_box_class_or_length_gives_another_digest(rows):
    usual = digest_truth(truth_of(rows)).digest
    frame, x, y, class_id = rows[0]
    others = [
        truth_of(rows, num_frames=11),
        truth_of(rows, shift=0.02),
        truth_of([*rows[1:], (frame, x, y, class_id + 3)]),
        truth_of([*rows[1:], (frame, x + 201, y, class_id)]),
    ]
    digests = {digest_truth(other).digest for other in others}
    assert len(digests) == 4
    assert usual not in digests


def test_ignored_targets_do_not_count():
    plain = truth_of([(0, 5, 5, 0)])
    more = truth_of([(0, 5, 5, 0), (3, 7, 7, 0)])
    assert digest_truth(replace(more, is_ignored=np.array([False, True]))) == digest_truth(plain)


def test_hash_of_all_depends_on_names_and_not_on_their_order():
    one, two = (digest_truth(truth_of([(0, x, 5, 0)])) for x in (1, 2))
    assert digest_all({"a": one, "b": two}) == digest_all({"b": two, "a": one})
    assert digest_all({"a": one, "b": two}) != digest_all({"a": two, "b": one})


def test_sequence_without_targets_has_a_digest():
    empty = replace(truth_of([(0, 1, 1, 0)]), is_ignored=np.array([True]))
    assert digest_truth(empty).num_boxes == 0
    assert digest_truth(empty) != digest_truth(replace(empty, num_frames=11))
