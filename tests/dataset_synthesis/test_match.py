import dataclasses
import json
from xml.etree import ElementTree

import numpy as np
import pytest

from stdet.dataset_synthesis.match import match_chart, match_labels, write_match
from stdet.dataset_synthesis.settings import SynthConfig
from stdet.dataset_synthesis.writer import write_dataset
from stdet.errors import ConfigError, DataError
from stdet.files.settings_file import check_settings


def synth(seed, targets, groups=None):
    return check_settings(
        SynthConfig,
        {
            "seed": seed,
            "scene": {
                "num_frames": 10,
                "hw": [64, 64],
                "targets": targets,
                "camera": {"motions": ["still"]},
            },
            "groups": groups or [{"split": "train", "num_sequences": 40}],
        },
        where="here",
    )


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """Generated targets of 10 to 14 px and 1 to 2 px per frame stand for a real data set."""
    folder = tmp_path_factory.mktemp("labels") / "d"
    targets = {
        "size_range": [10, 14],
        "speed_range": [1, 2],
        "scr_range": [4, 6],
        "box_min_px": 1,
        "motions": ["straight"],
        "exposure_range": [0.1, 0.1],
    }
    write_dataset(synth(3, targets), folder)
    return folder / "annotations" / "instances_train2017.json"


def test_sizes_steps_and_contrast_follow_the_labels(labels):
    start = synth(1, {"size_range": [1, 2], "speed_range": [4, 6], "scr_range": [1, 2]})
    match = match_labels(start, labels)
    assert [compared.title.split()[0] for compared in match.compared] == ["box", "step", "local"]
    for compared in match.compared[:2]:
        assert np.median(compared.found) == pytest.approx(np.median(compared.wanted), rel=0.15)
        assert compared.distance < 0.4
    scr = match.compared[2]
    assert np.median(scr.found) == pytest.approx(np.median(scr.wanted), rel=0.4)
    assert match_chart(match).count("largest difference") >= 3


def test_chart_is_xml_whatever_the_name_of_the_label_file(labels, tmp_path):
    match = match_labels(synth(1, {}), labels)
    odd = dataclasses.replace(match, labels=tmp_path / "<a>&\udce9.json")
    assert "&lt;a&gt;&amp;" in write_match(tmp_path, odd).read_text("utf-8")
    ElementTree.parse(tmp_path / "match.svg")


def test_group_that_sets_what_is_matched_is_refused(labels):
    groups = [{"scene": {"targets": {"scr_range": [1, 2]}}}]
    with pytest.raises(ConfigError, match=r"groups\[0\] sets targets.scr_range"):
        match_labels(synth(1, {}, groups), labels)


def test_labels_that_do_not_fit_into_generated_frames_are_refused(labels, tmp_path):
    content = json.loads(labels.read_text())
    for annotation in content["annotations"]:
        annotation["bbox"] = [0, 0, 63, 63]
    (tmp_path / "large.json").write_text(json.dumps(content))
    start = check_settings(SynthConfig, {"seed": 1, "scene": {"hw": [48, 56]}}, where="here")
    with pytest.raises(DataError, match=r"up to 63 px.* frames of 56x48; raise scene\.hw"):
        match_labels(start, tmp_path / "large.json")
