import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from stdet.io.images.fingerprint import FLAT_HASH, hamming, perceptual_hash, pixel_digest


def _scene(seed: int, hw: tuple[int, int] = (64, 80)) -> np.ndarray:
    field = gaussian_filter(np.random.default_rng(seed).normal(size=hw), 6)
    return (128 + 400 * field).clip(20, 200).astype(np.uint8)


def _bits(first: np.ndarray, second: np.ndarray) -> int:
    hashes = np.array([perceptual_hash(first), perceptual_hash(second)], np.uint64)
    return int(hamming(hashes[:1], hashes[1:])[0])


def test_digest_is_equal_only_for_equal_size_depth_and_pixels():
    image = _scene(0)
    assert pixel_digest(image) == pixel_digest(image.copy())
    changed = image.copy()
    changed[3, 4] += 1
    others = [changed, image.astype(np.uint16), image.reshape(32, 160)]
    assert len({pixel_digest(other) for other in [image, *others]}) == 4


@pytest.mark.parametrize("seed", range(8))
def test_hash_hardly_changes_with_brightness_noise_and_scale(seed):
    image = _scene(seed)
    noise = np.random.default_rng(seed).integers(-3, 4, image.shape)
    assert _bits(image, (image + 40).astype(np.uint8)) <= 6
    assert _bits(image, (image + noise).astype(np.uint8)) <= 6
    assert _bits(image, image.repeat(2, axis=0).repeat(2, axis=1)) <= 6
    assert _bits(image, image.astype(np.uint16) * 64) <= 6


def test_hashes_of_different_scenes_differ_in_many_bits():
    scenes = [_scene(seed) for seed in range(20)]
    assert min(_bits(a, b) for i, a in enumerate(scenes) for b in scenes[:i]) > 8


def test_image_of_one_level_has_the_flat_hash():
    assert perceptual_hash(np.full((9, 9), 7, np.uint8)) == FLAT_HASH
    assert perceptual_hash(_scene(1)) != FLAT_HASH
