from pathlib import Path

import pytest

from stdet.errors import DataError
from stdet.formats.label_files import find_label_files

COCO = '{"images": [], "annotations": [], "categories": []}'
LIST = "images/a/0.bmp 1,2,3,4,0\n"


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_folder_gives_the_label_files_in_it_and_in_annotations(tmp_path):
    _write(tmp_path, {"annotations/train.json": COCO, "test.txt": LIST, "images/a/x.txt": LIST})
    found = find_label_files([tmp_path])
    assert [(file.split, file.root) for file in found.files] == [
        ("train", tmp_path),
        ("test", tmp_path),
    ]
    assert [file.format for file in found.files] == ["coco", "text"]
    assert found.left_out == ()


def test_other_json_and_text_is_left_out_and_named(tmp_path):
    _write(tmp_path, {"a.json": COCO, "b.json": "{}", "README.txt": "Read me.", ".c.json": COCO})
    found = find_label_files([tmp_path])
    assert [file.split for file in found.files] == ["a"]
    assert [path.name for path in found.left_out] == ["README.txt", "b.json"]


def test_images_of_a_file_are_relative_to_its_folder_or_to_the_one_above_annotations(
    tmp_path, monkeypatch
):
    _write(tmp_path, {"annotations/a.json": COCO, "b.txt": LIST})
    monkeypatch.chdir(tmp_path / "annotations")
    for place, root in (
        (tmp_path / "annotations" / "a.json", tmp_path),
        (Path("a.json"), tmp_path),
        (tmp_path / "b.txt", tmp_path),
    ):
        (file,) = find_label_files([place]).files
        assert file.root.resolve() == root


def test_file_named_twice_counts_once(tmp_path):
    _write(tmp_path, {"annotations/a.json": COCO})
    places = [tmp_path / "annotations" / "a.json", tmp_path, tmp_path / "." / "annotations"]
    (file,) = find_label_files(places).files
    assert (file.split, file.root) == ("a", tmp_path)


def test_label_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    names = ("x/annotations/a.json", "y/annotations/a.json", "y/b.txt")
    _write(tmp_path, {"x/annotations/a.json": COCO, "y/annotations/a.json": COCO, "y/b.txt": LIST})
    files = find_label_files([tmp_path / name for name in names]).files
    assert [file.split for file in files] == ["x/annotations/a", "y/annotations/a", "b"]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("none", "none: does not exist; expected a label file"),
        ("a.bin", "neither a folder nor a label file"),
        ("empty", "holds no label file; expected COCO files"),
    ],
)
def test_unusable_place_is_refused(tmp_path, place, message):
    (tmp_path / "empty").mkdir()
    _write(tmp_path, {"a.bin": "", "empty/readme.txt": "Nothing."})
    with pytest.raises(DataError, match=message):
        find_label_files([tmp_path / place])
