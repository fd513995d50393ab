import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stdet.config import DataConfig, SourceConfig
from stdet.datasets.splits import load_sequences
from stdet.errors import ConfigError, DataError
from stdet.formats.image_labels import ImageLabels
from stdet.formats.image_runs import cut_into_runs
from stdet.formats.mot import write_annotation
from stdet.io.video.source import VideoWriter
from stdet.types import SequenceAnnotation

HW = (6, 8)


def _labels(files: list[str], boxes: dict[str, tuple[int, ...]] | None = None) -> ImageLabels:
    """Labels of ``files`` with one box at x = frame value for every entry of ``boxes``."""
    rows = [(files.index(file), x) for file, xs in (boxes or {}).items() for x in xs]
    corner = np.array([x for _, x in rows], np.float32)
    return ImageLabels(
        where="labels.json",
        paths=tuple(Path("root") / file for file in files),
        sizes_hw=np.tile(np.array([10, 100], np.int64), (len(files), 1)),
        image_rows=np.array([row for row, _ in rows], np.int64),
        boxes_xyxy=np.stack([corner, corner * 0, corner + 2, corner * 0 + 2], axis=1),
        class_ids=np.zeros(len(rows), np.int64),
        track_ids=np.full(len(rows), -1, np.int64),
        is_ignored=np.zeros(len(rows), np.bool_),
    )


def _names(files: list[str]) -> list[str]:
    return [run.annotation.name for run in cut_into_runs(_labels(files))]


def test_folder_without_holes_keeps_its_name():
    assert _names([f"data19/{number}.bmp" for number in range(449, 460)]) == ["data19"]


def test_folder_with_a_hole_becomes_two_runs_of_one_group():
    files = [f"data5/{number}.bmp" for number in (*range(2701, 2704), *range(1477, 1480))]
    runs = cut_into_runs(_labels(files, {"data5/1478.bmp": (7,), "data5/2703.bmp": (9, 11)}))
    assert [run.annotation.name for run in runs] == ["data5_1477-1479", "data5_2701-2703"]
    assert {run.group for run in runs} == {"data5"}
    first, second = (run.annotation for run in runs)
    assert first.frame_indices.tolist() == [1]
    assert first.boxes_xyxy[:, 0].tolist() == [7]
    assert second.frame_indices.tolist() == [2, 2]
    assert second.boxes_xyxy[:, 0].tolist() == [9, 11]
    assert [file.name for file in runs[1].files] == ["2701.bmp", "2702.bmp", "2703.bmp"]


def test_step_of_the_numbering_is_no_hole_and_names_without_numbers_have_none():
    assert _names(["s/f0.png", "s/f5.png", "s/f10.png"]) == ["s"]
    assert _names(["s/a.png", "s/b.png", "s/9z.png"]) == ["s"]


def test_frames_are_ordered_by_number_not_by_text():
    (run,) = cut_into_runs(_labels(["s/10.png", "s/9.png", "s/8.png"], {"s/10.png": (1,)}))
    assert [file.name for file in run.files] == ["8.png", "9.png", "10.png"]
    assert run.annotation.frame_indices.tolist() == [2]


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["train/data5", "test/data5", "train/data6"], ["test_data5", "train_data5", "data6"]),
        (["a/img1", "b/img1"], ["a", "b"]),
        (["data5", "x/data5"], ["root_data5", "x_data5"]),
    ],
)
def test_folders_of_equal_name_are_told_apart_by_the_shortest_end(folders, names):
    found = _names([f"{folder}/1.bmp" for folder in folders])
    assert sorted(found) == sorted(names)


def test_names_that_collide_after_joining_are_refused():
    with pytest.raises(DataError, match="2 sequences get the name 'a_d'"):
        cut_into_runs(_labels(["a/d/1.bmp", "b/d/1.bmp", "a_d/1.bmp"]))


def test_images_of_two_sizes_in_a_folder_are_refused():
    labels = _labels(["s/1.bmp", "s/2.bmp"])
    labels.sizes_hw[1] = (20, 100)
    with pytest.raises(DataError, match=r"2\.bmp has height, width \[20, 100\]"):
        cut_into_runs(labels)


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, 60), min_size=1), st.randoms())
def test_runs_share_out_all_images_and_boxes_and_never_span_a_hole(numbers, random):
    files = [f"s/{number}.png" for number in numbers]
    random.shuffle(files)
    boxes = {file: (int(Path(file).stem),) for file in files}
    runs = cut_into_runs(_labels(files, boxes))
    seen = []
    steps: list[int] = []
    for run in runs:
        own = [int(file.stem) for file in run.files]
        assert run.annotation.num_frames == len(own)
        # The box of every frame sits at the number of its image.
        assert run.annotation.boxes_xyxy[:, 0].tolist() == own
        assert run.annotation.frame_indices.tolist() == list(range(len(own)))
        seen += own
        steps += np.diff(own).tolist()
    assert seen == sorted(numbers)
    all_steps = np.diff(sorted(numbers))
    if len(steps):
        values, counts = np.unique(all_steps, return_counts=True)
        assert max(steps) <= 1.5 * values[counts == counts.max()].max()


def _write_data_set(root: Path, folders: dict[str, tuple[int, ...]], name: str = "l.json") -> None:
    """Write frames whose level is their number, and a COCO file with one box on each."""
    images, annotations = [], []
    for folder, numbers in folders.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            file = f"{folder}/{number}.png"
            Image.fromarray(np.full(HW, number, np.uint8)).save(root / file)
            images.append({"id": len(images), "file_name": file, "height": HW[0], "width": HW[1]})
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": len(images) - 1,
                    "category_id": 1,
                    "bbox": [1, 1, 2, 2],
                }
            )
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1}]}
    (root / name).write_text(json.dumps(content))


def _config(root: Path, **options: object) -> DataConfig:
    source = SourceConfig(annotations=Path("l.json"))
    return DataConfig(root=root, **{"train": (source,), "test": (source,), **options})


def _source(annotations: str = "l.json", **options: object) -> tuple[SourceConfig, ...]:
    return (SourceConfig(annotations=Path(annotations), **options),)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    _write_data_set(
        tmp_path, {"images/a": (1, 2, 3, 51, 52), "images/b": (0, 1), "images/c": (7,)}
    )
    return tmp_path


def _load(root: Path, split: str, **options: object) -> list[str]:
    return [sequence.name for sequence in load_sequences(_config(root, **options), split)]


def test_limit_on_the_area_of_frames_holds_for_labelled_images_and_is_raised(root):
    num_megapixels = HW[0] * HW[1] / 1e6
    assert load_sequences(_config(root, max_megapixels=num_megapixels), "test")
    with pytest.raises(DataError, match=r"raise it with .*data\.max_megapixels"):
        load_sequences(_config(root, max_megapixels=num_megapixels / 2), "test")


def test_frame_is_read_as_stored_and_scaled_by_255(root):
    first, second, *_ = load_sequences(_config(root), "test")
    assert (first.name, second.name, second.group, len(second)) == ("a_1-3", "a_51-52", "a", 2)
    raw, scaled = second.read_raw(1), second.read(1)
    assert (raw.dtype, scaled.dtype) == (np.uint8, np.float32)
    np.testing.assert_array_equal(raw, np.full(HW, 52))
    np.testing.assert_allclose(scaled, np.full(HW, 52 / 255), rtol=1e-6)
    for index in (-1, 2):
        with pytest.raises(ValueError, match=f"no frame {index}"):
            second.read(index)


def test_deep_images_are_scaled_by_one_scale_for_the_sequence(root):
    for number in (0, 1):
        levels = np.full(HW, 7000 + 100 * number, np.uint16)
        Image.fromarray(levels).save(root / f"images/b/{number}.png")
    sequence = load_sequences(_config(root, train=_source(sequences=("b",))), "train")[0]
    assert sequence.read_raw(0).dtype == np.uint16
    dark, bright = sequence.read(0), sequence.read(1)
    assert 0 <= dark.max() < bright.min() <= 1


def test_sequence_survives_pickling(root):
    sequence = load_sequences(_config(root), "test")[0]
    copy = pickle.loads(pickle.dumps(sequence))
    assert copy.name == sequence.name
    np.testing.assert_array_equal(copy.read(2), sequence.read(2))


@pytest.mark.parametrize(
    ("options", "train", "validation"),
    [
        ({"validation_sequences": ("b",)}, ["a_1-3", "a_51-52", "c"], ["b"]),
        ({"validation_sequences": ("a",)}, ["b", "c"], ["a_1-3", "a_51-52"]),
        ({"validation_sequences": ("a_1-3",)}, ["a_51-52", "b", "c"], ["a_1-3"]),
        (
            {"validation_sequences": ("a_1-3",), "train": _source(sequences=("a", "c"))},
            ["a_51-52", "c"],
            ["a_1-3"],
        ),
        (
            {"validation_sequences": ("a",), "train": _source(excluded_sequences=("b", "a_1-3"))},
            ["c"],
            ["a_51-52"],
        ),
    ],
)
def test_splits_follow_names_and_groups(root, options, train, validation):
    assert _load(root, "train", **options) == train
    assert _load(root, "validation", **options) == validation
    assert _load(root, "test", **options) == ["a_1-3", "a_51-52", "b", "c"]


def test_test_split_can_be_cut_to_some_sequences(root):
    test = _source(sequences=("c", "a_1-3"))
    assert _load(root, "test", test=test) == ["a_1-3", "c"]
    assert _load(root, "train", test=test) == ["a_1-3", "a_51-52", "b", "c"]
    with pytest.raises(DataError, match=r"data\.test\[0\]\.sequences names 'd'"):
        _load(root, "test", test=_source(sequences=("d",)))


def test_without_validation_all_of_the_file_is_training(root):
    assert _load(root, "train") == ["a_1-3", "a_51-52", "b", "c"]
    with pytest.raises(DataError, match=r"validation split is empty.* a, a_1-3, a_51-52, b, c"):
        _load(root, "validation")


def test_validation_file_is_used_whole(root):
    _write_data_set(root, {"images/d": (1, 2)}, "v.json")
    options = {"validation": _source("v.json")}
    assert _load(root, "validation", **options) == ["d"]
    assert _load(root, "train", **options) == ["a_1-3", "a_51-52", "b", "c"]
    with pytest.raises(ConfigError, match="both set"):
        _load(root, "train", validation_sequences=("b",), **options)


def test_frame_in_training_and_validation_is_refused(root):
    with pytest.raises(ConfigError, match=r"1\.png: is in training .*'a_1-3'.* and in validation"):
        _load(root, "train", validation=_source(sequences=("a_1-3",)))
    _write_data_set(root, {"images/b": (1,)}, "v.json")
    with pytest.raises(ConfigError, match=r"b/1\.png: is in training"):
        _load(root, "validation", validation=_source("v.json"))


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("train[0].sequences", {"train": _source(sequences=("a_1-4",))}),
        ("train[0].excluded_sequences", {"train": _source(excluded_sequences=("a_1-4",))}),
        ("validation_sequences", {"validation_sequences": ("a_1-4",)}),
    ],
)
def test_unknown_name_is_refused_with_the_nearest_and_all_known_ones(root, field, options):
    with pytest.raises(DataError) as refused:
        _load(root, "train", **options)
    assert f"data.{field} names 'a_1-4'" in str(refused.value)
    assert "did you mean 'a_1-3'? available are a, a_1-3, a_51-52, b, c." in str(refused.value)


def test_training_split_without_sequences_is_refused(root):
    with pytest.raises(DataError, match="training split is empty"):
        _load(root, "train", validation_sequences=("a", "b", "c"))


def test_missing_annotations_say_which_setting_to_change(root):
    with pytest.raises(DataError, match=r"nothing\.json: does not exist.*data\.test\[0\]"):
        _load(root, "test", test=_source("nothing.json"))


def test_file_without_images_is_refused(root):
    (root / "l.json").write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(DataError, match="holds no sequence in the 'coco' format"):
        _load(root, "test")


def test_labels_of_other_images_are_refused(root):
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(root / "images/c/7.png")
    with pytest.raises(DataError, match=r"7\.png: is 9x9, but the labels of 'c' are for 8x6"):
        _load(root, "test")


def test_text_list_gives_the_same_sequences(root):
    lines = ["/home/images/a/1.png 1,1,3,3,0", "/home/images/a/2.png", "images/c/7.png"]
    (root / "l.txt").write_text("\n".join(lines))
    sequences = load_sequences(_config(root, test=_source("l.txt", format="text")), "test")
    assert [(s.name, len(s), len(s.annotation)) for s in sequences] == [("a", 2, 1), ("c", 1, 0)]
    assert sequences[0].read_raw(1)[0, 0] == 2


def test_videos_are_read_with_the_boxes_beside_them(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", hw=(32, 32), fps=5.0) as writer:
        for level in (50, 100, 150):
            writer.write(np.full((32, 32, 3), level, np.uint8))
    (tmp_path / "v.txt").write_text("1,1,4,4\n0,0,0,0\n")
    config = DataConfig(root=tmp_path, test=_source(".", format="videos"))
    (sequence,) = load_sequences(config, "test")
    assert (sequence.name, len(sequence), len(sequence.annotation)) == ("v", 2, 1)
    assert abs(pickle.loads(pickle.dumps(sequence)).read(1).mean() - 100 / 255) < 0.02
    with pytest.raises(ValueError, match="no frame 2"):
        sequence.read(2)


def _write_mot_folder(folder: Path, numbers: range | tuple[int, ...]) -> None:
    (folder / "gt").mkdir(parents=True)
    (folder / "img1").mkdir()
    for number in numbers:
        Image.fromarray(np.full(HW, number, np.uint8)).save(folder / f"img1/{number}.png")
    num = len(numbers)
    corner = np.arange(num, dtype=np.float32)
    annotation = SequenceAnnotation(
        name="x",
        num_frames=num,
        image_hw=HW,
        fps=None,
        frame_indices=np.arange(num),
        track_ids=np.full(num, 3),
        boxes_xyxy=np.stack([corner, corner, corner + 1, corner + 1], axis=1),
        class_ids=np.zeros(num, np.int64),
        is_ignored=np.zeros(num, np.bool_),
    )
    write_annotation(folder / "gt/gt.txt", annotation)
    (folder / "seqinfo.ini").write_text(
        f"[Sequence]\nname=x\nimDir=img1\nframeRate=12.5\nseqLength={num}\n"
        f"imWidth={HW[1]}\nimHeight={HW[0]}\nimExt=.png\n"
    )


def test_mot_folders_keep_identities_and_are_cut_at_holes(tmp_path):
    _write_mot_folder(tmp_path / "test/s1", range(8, 12))
    _write_mot_folder(tmp_path / "test/s2", (1, 2, 8, 9, 10))
    config = DataConfig(root=tmp_path, test=_source("test", format="mot"))
    sequences = load_sequences(config, "test")
    assert [(s.name, s.group) for s in sequences] == [
        ("s1", "s1"),
        ("s2_1-2", "s2"),
        ("s2_8-10", "s2"),
    ]
    truth = sequences[2].annotation
    assert truth.boxes_xyxy[:, 0].tolist() == [2, 3, 4]
    assert truth.track_ids.tolist() == [3, 3, 3]
    assert truth.fps == 12.5
    assert sequences[0].read_raw(3)[0, 0] == 11
    single = DataConfig(root=tmp_path, test=_source("test/s1", format="mot"))
    assert [s.name for s in load_sequences(single, "test")] == ["s1"]


def test_mot_folder_that_lacks_images_is_refused(tmp_path):
    _write_mot_folder(tmp_path / "s1", range(1, 4))
    (tmp_path / "s1/img1/2.png").unlink()
    config = DataConfig(root=tmp_path, test=_source("s1", format="mot"))
    with pytest.raises(DataError, match="img1: holds 2 "):
        load_sequences(config, "test")
