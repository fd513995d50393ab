import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scenes import SyntheticConfig, generate

from stdet.classical.methods import OPERATING_POINTS
from stdet.evaluation.protocol_names import PROTOCOL_NAMES
from stdet.files.locks import lock_folder, lock_output
from stdet.formats.mot import write_annotation

SCORES = {
    "detection": ("map50", "map50_95", "precision", "recall", "f1", "legacy"),
    "pd_fa": ("pd", "false_alarms_per_frame", "false_alarms_per_pixel"),
    "tracking": ("mota", "motp_px", "idf1", "id_switches", "hota"),
}
MODEL = """
model:
  name: tiny
  in_channels: 1
  pixel_mean: [0.4]
  pixel_std: [0.2]
  backbone: {width: 0.0625, num_stages: 3}
  pyramid: {type: bp_fpn, output_stride: 4}
  temporal: {num_frames: 3, expansion: 1.0}
  head: {channels: 8, num_convs: 1}
postprocess: {max_detections: 5}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory, write_coco_split) -> Path:
    """A data set of two labelled sequences, one held out, and a test file of its own."""
    root = tmp_path_factory.mktemp("data")

    def write(*names: str) -> None:
        write_coco_split(
            root,
            [
                SyntheticConfig(
                    name=name, seed=ord(name), num_frames=5, hw=(24, 32), num_targets=1
                )
                for name in names
            ],
        )

    write("a", "b")
    (root / "annotations" / "train.json").rename(root / "test.json")
    (root / "annotations").rmdir()
    write("c", "d")
    path = root / "c.yaml"
    path.write_text(
        f"data: {{root: {root}, train: [{{annotations: annotations/train.json}}], "
        f"test: [{{annotations: test.json}}], validation_sequences: [d]}}\n{MODEL}"
    )
    return path


@pytest.fixture
def tracked(cli, clip, weights, tmp_path) -> Path:
    """The JSON of a tracked clip."""
    assert cli("track", clip, "--weights", weights, "--out", tmp_path, "--no-video").code == 0
    return tmp_path / "clip.json"


@pytest.fixture
def truth(tmp_path) -> Path:
    """MOT rows of two targets over ten frames."""
    _, annotation = generate(SyntheticConfig(num_frames=10, hw=(48, 64), num_targets=2, seed=4))
    write_annotation(tmp_path / "gt.txt", annotation)
    return tmp_path / "gt.txt"


def _assert_scores(scores: dict) -> None:
    for section, names in SCORES.items():
        assert set(names) <= scores[section].keys()
    assert set(scores["detection"]["legacy"]) == {"precision", "recall", "f1"}


def test_report_holds_every_score_overall_and_per_sequence(cli, config, weights, tmp_path):
    path = tmp_path / "r.json"
    outcome = cli("evaluate", config, "--weights", weights, "--json", path)
    assert (outcome.code, outcome.err) == (0, [])
    assert outcome.out.endswith(f"{path}\n")
    assert "Fa per frame" in outcome.out
    report = json.loads(path.read_text())
    _assert_scores(report)
    assert report["per_sequence"].keys() == {"d"}
    _assert_scores(report["per_sequence"]["d"])
    # The operating point is that of the weights, not one chosen on this split.
    assert report["rules"]["confidence"] == 0.25
    assert report["rules"]["num_frames"] == 5
    assert report["rules"]["num_targets"] == 5


@pytest.mark.parametrize(
    ("split", "names"), [("train", {"c"}), ("validation", {"d"}), ("test", {"a", "b"})]
)
def test_split_names_the_sequences_that_are_scored(cli, config, weights, tmp_path, split, names):
    path = tmp_path / "r.json"
    cli("evaluate", config, "--weights", weights, "--split", split, "--json", path)
    report = json.loads(path.read_text())
    assert report["per_sequence"].keys() == names
    assert report["rules"]["num_frames"] == 5 * len(names)


def test_classical_detector_is_scored_at_its_own_operating_point(cli, config, tmp_path):
    out = tmp_path / "r.json"
    assert cli("evaluate", config, "--detector", "lcm", "--json", out).code == 0
    report = json.loads(out.read_text())
    assert report["rules"]["confidence"] == OPERATING_POINTS["lcm"]
    _assert_scores(report)
    options = ("--detector", "lcm", "--set", "postprocess.confidence=0.3", "--overwrite")
    assert cli("evaluate", config, *options, "--json", out).code == 0
    assert json.loads(out.read_text())["rules"]["confidence"] == 0.3


def test_classical_detector_and_files_exclude_each_other(refused, tracked, truth):
    line = refused("evaluate", "--truth", truth, "--predictions", tracked, "--detector", "lcm")
    assert "leave it out for files" in line


def test_truth_in_ignored_zones_does_not_count(cli, refused, config, tracked, truth, tmp_path):
    options = ("evaluate", config, "--detector", "tophat", "--json")
    assert cli(*options, tmp_path / "whole.json").code == 0
    assert cli(*options, tmp_path / "part.json", "--ignore", "0,0,32,23").code == 0
    whole, part = (
        json.loads((tmp_path / name).read_text())["rules"]["num_targets"]
        for name in ("whole.json", "part.json")
    )
    assert whole > part == 0
    line = refused("evaluate", "--truth", truth, "--predictions", tracked, "--mask", "m.png")
    assert line.endswith("--ignore and --mask are for CONFIG, not for files.")


def test_leaked_sequences_are_scored_with_and_without(cli, config, weights, tmp_path):
    path = tmp_path / "r.json"
    options = ["--split", "test", "--set", "data.leaked_sequences=[b]", "--json", path]
    outcome = cli("evaluate", config, "--weights", weights, *options)
    assert "without b" in outcome.out
    report = json.loads(path.read_text())
    assert report["subsets"]["without b"] == report["per_sequence"]["a"]
    assert report["rules"]["num_frames"] == 10


def test_set_overrides_the_operating_point_and_the_rules(cli, config, weights, tmp_path):
    path = tmp_path / "r.json"
    overrides = ["postprocess.confidence=1", "evaluation.pd_radius_px=5"]
    options = [part for override in overrides for part in ("--set", override)]
    cli("evaluate", config, "--weights", weights, "--json", path, *options)
    report = json.loads(path.read_text())
    assert (report["rules"]["confidence"], report["rules"]["pd_radius_px"]) == (1, 5)
    assert report["pd_fa"]["false_alarms_per_frame"] == 0
    assert report["pd_fa"]["pd"] == 0
    assert report["detection"]["precision"] is None  # Of no detection at all.


def test_operating_point_of_other_scores_is_refused(cli, refused, config, weights):
    options = ("evaluate", config, "--weights", weights, "--set", "tracker.lookahead=null")
    line = refused(*options)
    assert "tracker.lookahead is null, and the operating point of" in line
    assert line.endswith("was chosen with 5; set postprocess.confidence, or tracker.lookahead=5.")
    assert cli(*options, "--set", "postprocess.confidence=0.4").code == 0


def test_weights_of_another_architecture_list_what_differs(refused, config, other_weights):
    line = refused("evaluate", config, "--weights", other_weights)
    assert "weights are for model 'wide', which is not the configured architecture" in line
    assert "of another shape (" in line
    assert "expected (" in line
    assert line.endswith("Use the configuration they were trained with.")
    line = refused(
        "evaluate",
        config,
        "--weights",
        other_weights,
        "--set",
        "model.name=x",
        "--set",
        "model.pyramid.type=fpn",
        "--set",
        "model.backbone.width=0.125",
    )
    assert " unexpected (neck." in line


def test_missing_and_damaged_weights_are_refused(refused, config, tmp_path):
    garbage = tmp_path / "garbage.safetensors"
    garbage.write_bytes(b"x" * 99)
    line = refused("evaluate", config, "--weights", tmp_path / "none.safetensors")
    assert "none.safetensors: no such weights file" in line
    assert "not a readable safetensors file" in refused("evaluate", config, "--weights", garbage)


def test_page_is_written_and_not_replaced_unasked(cli, refused, config, weights, tmp_path):
    options = ["evaluate", config, "--weights", weights, "--report", tmp_path / "page"]
    outcome = cli(*options)
    assert (outcome.code, outcome.err) == (0, [])
    assert outcome.out.endswith(f"{tmp_path / 'page' / 'index.html'}\n")
    page = (tmp_path / "page" / "index.html").read_text()
    assert "data:image/png" in page  # Frames were at hand.
    assert "index.html: already there; pass --overwrite" in refused(*options)
    assert cli(*options, "--overwrite").code == 0
    (tmp_path / "file").write_text("")
    assert "is a file; name a folder with --report" in refused(
        "evaluate", config, "--weights", weights, "--report", tmp_path / "file"
    )


def test_runs_are_compared_from_the_command_line(cli, refused, config, weights, tmp_path):
    for name, confidence in (("a", 0.25), ("b", 0.5)):
        options = ["--set", f"postprocess.confidence={confidence}", "--split", "test"]
        path = tmp_path / f"{name}.json"
        cli("evaluate", config, "--weights", weights, "--json", path, *options)
    outcome = cli("compare", tmp_path / "a.json", tmp_path / "b.json", "--format", "csv")
    assert (outcome.code, outcome.err) == (0, [])
    assert outcome.out.splitlines()[0] == ",a,b,difference,95 % interval"
    assert "give at least two runs" in refused("compare", tmp_path / "a.json")


def test_json_never_replaces_an_input_or_a_device(refused, tracked, truth):
    files = ["--truth", truth, "--predictions", tracked, "--overwrite"]
    assert "is an input itself" in refused("evaluate", *files, "--json", truth)
    assert "is a device" in refused("evaluate", *files, "--json", "/dev/null")


def test_link_that_leads_in_a_circle_is_one_line(refused, tracked, tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to(link)
    found = refused(
        "evaluate", "--truth", link, "--predictions", tracked, "--json", tmp_path / "r.json"
    )
    assert "link.json: cannot be looked at (Too many levels of symbolic links)" in found


def test_path_of_any_length_is_one_line(refused, truth):
    files = ["--truth", truth, "--predictions", "x" * 300]
    assert "name too long" in refused("evaluate", *files)


def test_frame_rate_and_rule_of_a_hit_hold_for_files_that_state_none(cli, tmp_path):
    """Boxes of 16 x 16 px, 4 px apart, and a false alarm, in one frame of one second."""
    (tmp_path / "gt.txt").write_text("1,1,11,11,16,16,1,1,1\n")
    (tmp_path / "found.txt").write_text(
        "1,-1,15,11,16,16,0.9,-1,-1,-1\n1,-1,41,41,4,4,0.5,-1,-1,-1\n"
    )
    files = ["--truth", tmp_path / "gt.txt", "--predictions", tmp_path / "found.txt"]
    options = ["--size", "64x64", "--json", tmp_path / "r.json", "--overwrite"]

    def scored(*more):
        outcome = cli("evaluate", *files, *options, *more)
        assert (outcome.code, outcome.err) == (0, [])
        report = json.loads((tmp_path / "r.json").read_text())
        return report["pd_fa"]["pd"], report["pd_fa"]["false_alarms_per_hour"]["rate"]

    assert scored() == (0, None)
    assert scored("--fps", "1") == (0, 7200)
    share = ["--set", "evaluation.hit_rule=box_share"]
    # What the command line says for one run goes over a setting.
    assert scored("--fps", "1", *share, "--set", "evaluation.fps=9") == (1, 3600)


def test_mask_folders_are_scored_and_written(cli, refused, tmp_path):
    for folder in ("truth", "found"):
        (tmp_path / folder).mkdir()
        for number in range(2):
            mask = np.zeros((16, 16), np.uint8)
            mask[4:6, 4:6] = 255
            mask[12, 12] = 255 * (folder == "found")
            Image.fromarray(mask).save(tmp_path / folder / f"{number}.png")
    files = ["--truth", tmp_path / "truth", "--predictions", tmp_path / "found"]
    outcome = cli("evaluate", *files, "--json", tmp_path / "m.json")
    assert (outcome.code, outcome.err) == (0, [])
    content = json.loads((tmp_path / "m.json").read_text())
    assert content["definition"]["pd"] == 1
    assert content["definition"]["false_component_pixels"] == 2
    assert "basicirstd" in outcome.out
    assert "leave it out for masks" in refused("evaluate", *files, "--report", tmp_path / "page")
    assert "leave it out for masks" in refused("evaluate", *files, "--fps", "25")
    line = refused("evaluate", *files, "--set", "evaluation.hit_rule=iou")
    assert "masks hit by centre_distance" in line


def test_existing_report_is_refused_before_the_work(refused, config, tmp_path):
    path = tmp_path / "r.json"
    path.write_text("mine")
    # The weights are missing too; the first thing that can be told is told.
    assert "already there; pass --overwrite" in refused("evaluate", config, "--json", path)
    assert path.read_text() == "mine"
    line = refused("evaluate", config, "--json", tmp_path / "none" / "r.json")
    assert "its folder does not exist" in line


def test_track_file_is_scored_against_truth(cli, tracked, truth, tmp_path):
    path = tmp_path / "r.json"
    outcome = cli(
        "evaluate",
        "--truth",
        truth,
        "--predictions",
        tracked,
        "--json",
        path,
        "--set",
        "evaluation.track_gate_px=4",
    )
    assert (outcome.code, outcome.err) == (0, [])
    lines = [line.split() for line in outcome.out.splitlines()]
    assert lines[0] == ["target", "frames", "found", "error", "px", "track", "ids"]
    assert [line[:2] for line in lines[1:3]] == [["1", "10"], ["2", "10"]]
    report = json.loads(path.read_text())
    _assert_scores(report)
    assert report["per_sequence"].keys() == {"clip"}
    assert report["rules"]["track_gate_px"] == 4
    assert (report["rules"]["num_frames"], report["rules"]["num_targets"]) == (10, 20)


def test_truth_that_is_longer_than_the_tracks_is_refused(refused, tracked, truth):
    with truth.open("a") as file:
        file.write("11,1,5,5,8,8,1,1,1\n")
    line = refused("evaluate", "--truth", truth, "--predictions", tracked)
    assert "holds 10 frames, but" in line
    assert "names frame 11" in line


def test_truth_and_predictions_go_together_and_without_a_configuration(refused, config):
    for argv in (
        ["--truth", "a"],
        ["--predictions", "a"],
        [config, "--truth", "a", "--predictions", "b"],
        [],
    ):
        assert "evaluate: give " in refused("evaluate", *argv)


@pytest.mark.parametrize(
    ("truth_text", "predictions_text", "message"),
    [
        (None, "{}", "gt.txt: cannot be read (No such file"),
        ("", None, "p.json: cannot be read (No such file"),
        ("", "hello", "p.json: is not JSON"),
        ("", "{}", "p.json: expected a JSON of `stdet track`"),
        ("1,1,5,5,0,8,1,1,1\n", "good", "gt.txt:1: "),
        ("1,1,5,nan,8,8,1,1,1\n", "good", "gt.txt:1: "),
        ("1,1,5,5,8,8,1,1,1\n1,1,5,5,8,8,1,1,1\n", "good", "gt.txt:2: "),
        ("hello\n", "good", "gt.txt:1: "),
    ],
)
def test_files_that_are_neither_truth_nor_tracks_are_refused(
    refused, tmp_path, truth_text, predictions_text, message
):
    if predictions_text == "good":
        predictions_text = json.dumps(
            {
                "format": "stdet.tracks/1",
                "image_hw": [48, 64],
                "fps": None,
                "confidence": 0.5,
                "frames": [{"frame_index": 0, "detections": [], "tracks": []}],
            }
        )
    for name, text in (("gt.txt", truth_text), ("p.json", predictions_text)):
        if text is not None:
            (tmp_path / name).write_text(text)
    line = refused(
        "evaluate", "--truth", tmp_path / "gt.txt", "--predictions", tmp_path / "p.json"
    )
    assert message in line


def _drop_bbox(content: dict) -> None:
    content["annotations"][2].pop("bbox")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda c: c["images"][1].update(file_name="images/a/gone.bmp"),
            "1 of 10 images do not exist; the first is ",
        ),
        (
            lambda c: c["annotations"][0].update(bbox=[3, 3, 0, 4]),
            "annotation 1 of image 1 (bbox [3, 3, 0, 4]), has no area",
        ),
        (
            lambda c: c["annotations"][0].update(bbox=[float("nan"), 3, 4, 4]),
            "is not finite; expected four numbers",
        ),
        (
            lambda c: c["annotations"][0].update(bbox=[900, 3, 4, 4]),
            "lies outside its 32x24 frame",
        ),
        (lambda c: c["images"][1].update(id=1), "image id 1 occurs 2 times"),
        (lambda c: c["annotations"][1].update(id=1), "annotation id 1 occurs 2 times"),
        (_drop_bbox, "annotations[2] lacks bbox"),
        (lambda c: c.pop("images"), "lacks images"),
        (lambda c: c["annotations"][0].update(image_id=99), "image_id 99, which the file does"),
        (lambda c: c["annotations"][0].update(category_id=7), "category_id 7, which the file"),
        (lambda c: c["images"][0].update(id="one"), "images[0] has id 'one'; expected int"),
        (lambda c: [i.update(height=99) for i in c["images"]], "is 32x24, but the labels of"),
        (lambda c: c.update(images=[], annotations=[]), "holds no sequence in the 'coco' format"),
    ],
)
def test_annotation_error_is_one_line(refused, config, weights, tmp_path, spoil, message):
    root = config.parent
    content = json.loads((root / "test.json").read_text())
    spoil(content)
    path = tmp_path / "spoilt.json"
    path.write_text(json.dumps(content))
    line = refused(
        "evaluate",
        config,
        "--weights",
        weights,
        "--split",
        "test",
        "--set",
        f"data.test=[{{annotations: {path}}}]",
    )
    assert message in line


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.root=none", "none/annotations/train.json: does not exist. Set data.root"),
        ("data.train=[{annotations: a.json}]", "a.json: does not exist. Set data.root"),
        ("data.train_annotations=a.json", 'write train: [{"annotations": "a.json"}]'),
        ("data.validation_sequences=[z]", "names 'z', which is not in the annotations"),
        ("data.validation_sequences=[]", "The validation split is empty."),
        ("data.validation_sequences=[c, d]", "The training split is empty"),
        ("data.train=[{FILE, format: mot}]", "holds no sequence in the 'mot' format"),
        ("data.train=[{FILE, format: text}]", "does not start with an image path"),
        (
            "data.train=[{FILE, format: yolo}]",
            "data.train[0].format: Input should be 'coco', 'text', 'videos', 'mot', 'centroids' "
            "or 'generated'",
        ),
        ("data.train=[{format: mot}]", "data.train[0]: annotations is needed with every format"),
    ],
)
def test_data_section_that_fits_no_files_is_one_short_line(
    refused, config, weights, override, message
):
    override = override.replace("FILE", "annotations: annotations/train.json")
    line = refused("evaluate", config, "--weights", weights, "--set", override)
    assert message in line
    assert len(line) < 500


@pytest.mark.parametrize("command", ["track", "evaluate"])
def test_network_that_overflows_is_named_by_its_file(refused, config, clip, weights, command):
    from stdet.inference.checkpoint import load_weights, save_weights

    loaded = load_weights(weights)
    state = {
        name: value.fill_(3e38) if name.startswith("head") and value.ndim else value
        for name, value in loaded.state.items()
    }
    broken = config.parent / "broken.safetensors"
    save_weights(broken, state, loaded.config, {})
    if command == "track":
        argv = ["track", clip, "--out", config.parent / "o"]
    else:
        argv = ["evaluate", config]
    assert f"the network of {broken} gives values that are not" in refused(
        *argv, "--weights", broken
    )


@pytest.mark.parametrize("option", ["--json", "--report"])
def test_second_writer_of_an_output_is_refused_before_the_work(refused, config, tmp_path, option):
    path = tmp_path / "r"
    if option == "--report":
        path.mkdir()
    with lock_output(path) if option == "--json" else lock_folder(path):
        assert "another run is writing there" in refused("evaluate", config, option, path)


def test_output_that_cannot_be_written_is_refused_before_the_work(refused, config, tmp_path):
    # There are no weights either: the outputs are looked at first.
    options = ["evaluate", config, "--weights", "none"]
    assert "name is too long" in refused(*options, "--json", tmp_path / ("x" * 250))
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refused(*options, "--report", tmp_path / "file" / "page")
    assert "no such weights file" in refused(*options, "--report", tmp_path / "a" / "page")
    assert not (tmp_path / "a" / "page").exists()


def test_protocols_print_their_own_table_and_one_key_of_the_json(cli, config, weights, tmp_path):
    path = tmp_path / "r.json"
    plain = cli("evaluate", config, "--weights", weights, "--json", path)
    assert "protocols" not in json.loads(path.read_text())
    options = ("--json", path, "--overwrite", "--protocols")
    outcome = cli("evaluate", config, "--weights", weights, *options, "all")
    assert (outcome.code, outcome.err) == (0, [])
    assert "basicirstd: Pd" in outcome.out
    assert "partial ROC area" not in outcome.out
    assert "partial ROC area" in plain.out
    report = json.loads(path.read_text())
    assert tuple(report["protocols"]["overall"]) == PROTOCOL_NAMES
    assert report["protocols"]["per_sequence"].keys() == report["per_sequence"].keys() == {"d"}
    cli("evaluate", config, "--weights", weights, *options, "dnanet,coco")
    assert tuple(json.loads(path.read_text())["protocols"]["overall"]) == ("coco", "dnanet")


def test_protocols_of_files_without_identities_say_what_is_missing(cli, truth, tmp_path):
    detections = tmp_path / "found.txt"
    detections.write_text("1,-1,10,10,4,4,0.9,-1,-1,-1\n")
    outcome = cli(
        *("evaluate", "--truth", truth, "--predictions", detections, "--size", "48x64"),
        *("--protocols", "so_hota", "--format", "markdown"),
    )
    assert "| so_hota: SO-HOTA | - | - |" in outcome.out
    assert "No so_hota: the predictions carry no identities (gt)." in outcome.out


def test_unknown_protocol_names_the_known_ones(cli, config):
    outcome = cli("evaluate", config, "--protocols", "coco,cocoa")
    assert outcome.code == 2
    assert "'cocoa' is no protocol; choose from all, stdet, coco, sstnet" in outcome.err[-1]


def test_all_protocols_are_all_beside_others_too(cli, tmp_path):
    mask = np.zeros((16, 16), np.uint8)
    mask[2:5, 2:5] = 255
    Image.fromarray(mask).save(tmp_path / "0.png")
    options = ("evaluate", "--truth", tmp_path, "--predictions", tmp_path, "--protocols")
    assert cli(*options, "coco,all").out == cli(*options, "all").out != ""
    assert "--size is for MOT files" in cli(*options, "all", "--size", "9x9").err[-1]


def test_protocols_of_mask_folders(cli, tmp_path):
    mask = np.zeros((16, 16), np.uint8)
    mask[2:5, 2:5] = 255
    for side in ("truth", "found"):
        (tmp_path / side).mkdir()
        Image.fromarray(mask).save(tmp_path / side / "0.png")
    out = tmp_path / "r.json"
    outcome = cli(
        *("evaluate", "--truth", tmp_path / "truth", "--predictions", tmp_path / "found"),
        *("--protocols", "all", "--json", out),
    )
    assert outcome.code == 0
    content = json.loads(out.read_text())
    assert content["protocols"]["overall"]["pyirstd_overlap"]["hiou"] == 1
    assert content["area_key"]["num_hits"] == 1  # The usual scores are there too.
