import pytest

from stdet.registration.frame_motion import FrameMotion
from stdet.registration.transform import Transform


def test_motion_is_known_or_has_a_problem():
    assert FrameMotion.known(Transform.identity()).is_trusted
    assert not FrameMotion.unknown("a cut").is_trusted
    for transform, problem in [(None, None), (Transform.identity(), "a cut")]:
        with pytest.raises(ValueError, match="expected one of them"):
            FrameMotion(transform=transform, problem=problem)
