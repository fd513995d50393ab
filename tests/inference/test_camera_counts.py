from stdet.inference.camera_counts import CameraCounts
from stdet.registration.camera_motion import CameraPose
from stdet.registration.frame_motion import RegistrationQuality
from stdet.registration.transform import Transform


def pose(state, model="translation", error_px=0.1, inliers=0.9):
    quality = RegistrationQuality(model=model, error_px=error_px, unexplained=0.0, inliers=inliers)
    return CameraPose(run=1, from_start=Transform.identity(), state=state, quality=quality)


def test_frames_are_counted_by_state_and_model():
    counts = CameraCounts()
    for each in [
        pose("measured", "rest", 0.0, 1.0),
        pose("measured", error_px=0.2, inliers=0.8),
        pose("assumed", error_px=0.7, inliers=0.3),
        pose("assumed", error_px=None, inliers=0.0),
        pose("lost", "rest", None, 0.0),
        None,
    ]:
        counts.add(each)
    found = counts.summary()
    assert found.num_frames == 6
    assert found.states == {"measured": 2, "assumed": 2, "lost": 1}
    assert found.models == {"translation": 3, "rest": 1}  # The lost frame has no model.
    assert found.median_error_px == 0.2  # Of 0, 0.2 and 0.7: two frames were not aligned.
    assert found.median_inliers == 0.8


def test_of_a_stream_without_end_the_newest_frames_are_kept():
    counts = CameraCounts(max_frames=2)
    for error_px in (0.5, 0.1, 0.3):
        counts.add(pose("measured", error_px=error_px))
    assert counts.summary().num_frames == 3
    assert counts.summary().median_error_px == 0.2
