import numpy as np
import pytest

from stdet.classical.peaks import find_peaks, height_to_score


def peaks(response, **options):
    return find_peaks(response, **({"max_detections": 300, "frame_index": 0} | options))


def ground(hw=(40, 50)):
    """Two values in a chessboard, -1 and 1: median 0, median deviation 1, noise 1.4826."""
    rows, columns = np.indices(hw)
    return np.where((rows + columns) % 2, 1.0, -1.0).astype(np.float32)


def test_score_is_that_of_the_height_over_the_noise():
    response = ground()
    response[20, 31] = 14.826  # Height 10, score 1 / 2.
    found = peaks(response)
    np.testing.assert_allclose(found.scores, [0.5], atol=1e-3)
    np.testing.assert_allclose(found.boxes_xyxy, [[27.5, 16.5, 35.5, 24.5]], atol=1e-5)


def test_scores_rise_with_height_and_stay_below_one():
    scores = height_to_score(np.array([0.0, 3.0, 1e3, 1e30]))
    assert (np.diff(scores) > 0).all()
    assert scores[0] == 0
    assert scores[-1] < 1


def test_a_plateau_is_one_detection_in_its_middle():
    response = np.zeros((40, 40), np.float32)
    response[10:15, 20:23] = 5.0
    found = peaks(response)
    # Columns 20 to 22 and rows 10 to 14, so the middle is (21.5, 12.5).
    np.testing.assert_allclose(found.boxes_xyxy, [[17.5, 8.5, 25.5, 16.5]], atol=1e-5)


def test_a_box_is_as_large_as_a_large_blob():
    response = np.zeros((60, 60), np.float32)
    response[20:32, 30:34] = 5.0
    response[26, 32] = 6.0
    (box,) = peaks(response).boxes_xyxy
    # 12 rows: larger than 8; 4 columns: 8.
    np.testing.assert_allclose(box[2:] - box[:2], [8, 12], atol=1e-4)


def test_what_lies_below_half_of_the_peak_does_not_pull_the_centre():
    response = np.zeros((40, 40), np.float32)
    response[20, 20] = 8.0
    response[20, 21] = 3.0
    np.testing.assert_allclose(peaks(response).boxes_xyxy, [[16.5, 16.5, 24.5, 24.5]], atol=1e-5)
    response[20, 21] = 6.0  # Centre of mass at (20.5 * 8 + 21.5 * 6) / 14 = 20.9286.
    np.testing.assert_allclose(peaks(response).boxes_xyxy[0, 0], 16.9286, atol=1e-3)


@pytest.mark.parametrize(("distance", "number"), [(2, 1), (3, 1), (5, 2)])
def test_of_two_near_peaks_the_stronger_stays(distance, number):
    response = np.zeros((40, 40), np.float32)
    response[20, 15] = 9.0
    response[20, 15 + distance] = 4.0
    found = peaks(response)
    assert len(found) == number
    np.testing.assert_allclose(found.boxes_xyxy[0, 0], 11.5, atol=1e-5)


def test_the_strongest_are_kept():
    response = np.zeros((40, 40), np.float32)
    response[5, 5], response[5, 25], response[25, 5] = 4, 9, 6
    found = peaks(response, max_detections=2)
    np.testing.assert_allclose(found.boxes_xyxy[:, :2], [[21.5, 1.5], [1.5, 21.5]], atol=1e-5)


def test_a_box_at_the_border_is_clipped():
    response = np.zeros((20, 20), np.float32)
    response[0, 19] = 5.0
    np.testing.assert_allclose(peaks(response).boxes_xyxy, [[15.5, 0, 20, 4.5]], atol=1e-5)
