import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stdet.errors import DataError
from stdet.formats.mask_folder import check_same_images, mask_pairs, open_mask_folder


def save(path: Path, pixels) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path)
    return path


def row(*levels, dtype=np.uint8):
    return np.array([levels], dtype)


def refused(path: Path) -> str:
    """Return the error of a folder that must be refused; it is one line."""
    with pytest.raises(DataError) as caught:
        open_mask_folder(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_masks_come_in_natural_order_by_their_path_without_suffix(tmp_path):
    for name in ["seq10/1.png", "seq2/10.PNG", "seq2/9.png"]:
        save(tmp_path / name, row(0, 255))
    (tmp_path / "seq2" / "notes.txt").write_text("not a mask")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "seq2" / "._9.png").write_text("left by another system")
    assert list(open_mask_folder(tmp_path).files) == ["seq2/9", "seq2/10", "seq10/1"]
    assert list(open_mask_folder(tmp_path / "seq2").files) == ["9", "10"]


@pytest.mark.parametrize(
    ("pixels", "target", "rule"),
    [
        (row(0, 255), [False, True], "level > 127 of 255"),
        (row(0, 127, 128, 255), [False, False, True, True], "level > 127 of 255"),
        (row(1, 40, 200), [False, False, True], "level > 127 of 255"),
        (row(0, 1), [False, True], "level > 0 of 255"),
        (row(0, 0), [False, False], "level > 0 of 255"),
        (row(False, True, dtype=bool), [False, True], "level > 0 of 1"),
        (row(0, 1, dtype=np.uint16), [False, True], "level > 0 of 65535"),
        (row(0, 32767, 32768, dtype=np.uint16), [False, False, True], "level > 32767 of 65535"),
        (row(0, 65535, dtype=np.uint16), [False, True], "level > 32767 of 65535"),
        (np.repeat(row(0, 255)[..., None], 3, axis=2), [False, True], "level > 127 of 255"),
    ],
)
def test_levels_become_targets_by_the_stated_rule(tmp_path, pixels, target, rule):
    save(tmp_path / "a.png", pixels)
    folder = open_mask_folder(tmp_path)
    mask = folder.read("a")
    assert (mask.dtype, mask.tolist(), folder.rule) == (np.bool_, [target], rule)


def test_quiet_frame_of_a_probability_folder_is_no_0_1_mask(tmp_path):
    save(tmp_path / "loud.png", row(3, 200))
    save(tmp_path / "quiet.png", row(0, 1))
    assert not open_mask_folder(tmp_path).read("quiet").any()


def test_0_1_masks_beside_0_255_masks_are_refused(tmp_path):
    save(tmp_path / "a.png", row(0, 1))
    save(tmp_path / "b.png", row(0, 255))
    assert "a.png: holds level 1" in refused(tmp_path)


@pytest.mark.parametrize("pixels", [row(0, 2), row(0, 127), row(0, 255, dtype=np.uint16)])
def test_folder_without_a_level_above_half_is_refused(tmp_path, pixels):
    save(tmp_path / "a.png", pixels)
    assert "highest in" in refused(tmp_path)


def test_mixed_depths_are_refused(tmp_path):
    save(tmp_path / "a.png", row(0, 255))
    save(tmp_path / "b.png", row(0, 65535, dtype=np.uint16))
    assert "b.png: holds levels up to 65535; expected up to 255" in refused(tmp_path)


@pytest.mark.parametrize(("mode", "word"), [("P", "palette"), ("RGBA", "alpha"), ("LA", "alpha")])
def test_palette_and_alpha_are_refused(tmp_path, mode, word):
    Image.fromarray(row(0, 255)).convert(mode).save(tmp_path / "a.png")
    assert word in refused(tmp_path)


def test_colour_is_refused(tmp_path):
    save(tmp_path / "a.png", np.array([[[255, 0, 0]]], np.uint8))
    assert "colour" in refused(tmp_path)


def test_deep_colour_is_refused(tmp_path):
    # Pillow neither writes it nor keeps its lower byte: a 0/1 mask would come out empty.
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    pixels = zlib.compress(bytes([0, 0, 1, 0, 1, 0, 1]))
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )
    assert "colours of 16 bits" in refused(tmp_path)


def test_folder_that_is_not_there_or_empty_is_refused(tmp_path):
    assert "cannot be listed" in refused(tmp_path / "none")
    assert "holds no PNG masks" in refused(tmp_path)
    save(tmp_path / "seq" / "a.png", row(0, 255))
    (tmp_path / "other").mkdir()
    assert "other: holds no PNG masks" in refused(tmp_path)


def test_masks_beside_sequence_folders_are_refused(tmp_path):
    save(tmp_path / "a.png", row(0, 255))
    save(tmp_path / "seq" / "a.png", row(0, 255))
    assert "of its own and in seq" in refused(tmp_path)


def test_images_in_another_format_are_refused(tmp_path):
    save(tmp_path / "a.png", row(0, 255))
    save(tmp_path / "b.bmp", row(0, 255))
    assert "b.bmp: is no PNG" in refused(tmp_path)
    (tmp_path / "a.png").unlink()
    assert "b.bmp: is no PNG" in refused(tmp_path)
    (tmp_path / "b.bmp").rename(tmp_path / "b.png")
    assert "b.png: cannot be read as PNG" in refused(tmp_path)


def test_damaged_mask_is_named(tmp_path):
    rng = np.random.default_rng(0)
    file = save(tmp_path / "a.png", rng.integers(0, 256, (40, 40), dtype=np.uint8))
    file.write_bytes(file.read_bytes()[:500])
    assert "a.png: cannot be read" in refused(tmp_path)


def test_two_masks_of_one_image_are_refused(tmp_path):
    save(tmp_path / "a.png", row(0, 255))
    save(tmp_path / "a.PNG", row(0, 255))
    assert "same name" in refused(tmp_path)


def paired(tmp_path, truth, predictions):
    for side, files in [("truth", truth), ("said", predictions)]:
        for name, pixels in files.items():
            save(tmp_path / side / name, pixels)
    return open_mask_folder(tmp_path / "truth"), open_mask_folder(tmp_path / "said")


def test_pairs_are_matched_by_name_and_named_by_sequence(tmp_path):
    on, off = row(0, 255), row(0, 0)
    truth, said = paired(
        tmp_path, {"s/1.png": on, "t/1.png": off}, {"t/1.PNG": off, "s/1.png": on}
    )
    pairs = list(mask_pairs(truth, said))
    assert [(p.sequence, p.name) for p in pairs] == [("s", "s/1"), ("t", "t/1")]
    assert [p.truth.any() and p.prediction.any() for p in pairs] == [True, False]
    (single,) = mask_pairs(
        open_mask_folder(tmp_path / "truth" / "s"), open_mask_folder(said.path / "s")
    )
    assert (single.sequence, single.name) == ("s", "1")


def test_missing_and_unknown_predictions_are_named(tmp_path):
    on = row(0, 255)
    truth, said = paired(tmp_path, {"1.png": on, "2.png": on, "3.png": on}, {"2.png": on})
    with pytest.raises(DataError, match=r"said/1\.png: is missing.*truth/1\.png \(and 1 more\)"):
        check_same_images(truth, said)
    with pytest.raises(DataError, match=r"truth/1\.png: is of an image without truth"):
        check_same_images(said, truth)


def test_pair_of_different_sizes_is_named(tmp_path):
    truth, said = paired(tmp_path, {"1.png": row(0, 255)}, {"1.png": row(0, 0, 255)})
    with pytest.raises(DataError, match=r"said/1\.png: is 3x1; expected 2x1 like .*truth/1\.png"):
        list(mask_pairs(truth, said))
