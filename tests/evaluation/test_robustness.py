"""The benchmark of changed footage, with a classical detector."""

import json
import math
import weakref
from dataclasses import replace

import numpy as np
import pytest
from scenes import SyntheticConfig

from stdet.boxes import centres_xy
from stdet.changes import recording
from stdet.changes.footage import Footage
from stdet.changes.table import CHANGES
from stdet.config import EvaluationConfig, PostprocessConfig, StdetConfig
from stdet.datasets.sequences import LabelledSequence
from stdet.errors import ConfigError, DataError
from stdet.evaluation.from_model import evaluate_classical
from stdet.evaluation.report import write_report
from stdet.evaluation.robustness import ChangeScores, robustness
from stdet.io.ignored_pixels import IgnoredZones
from stdet.metrics.scores import Scores
from stdet.report.robustness_table import robustness_table
from stdet.types import SequenceAnnotation

SCENES = [
    SyntheticConfig(name=name, seed=seed, num_frames=14, hw=(64, 80), num_targets=2)
    for seed, name in enumerate(("a", "b"))
]


@pytest.fixture(scope="module")
def config(tmp_path_factory, write_coco_split) -> StdetConfig:
    return StdetConfig(data=write_coco_split(tmp_path_factory.mktemp("data"), SCENES))


def run(config, *changes, **options):
    return robustness(config, method="tophat", split="train", changes=changes, **options)


def test_false_alarms_in_ignored_regions_are_none_and_regions_move(config):
    config = replace(config, postprocess=PostprocessConfig(confidence=0.0))
    before = evaluate_classical(config, method="tophat", split="train")
    pairs = [
        (result.annotation, frame)
        for result in before.results
        for frame in result.detections
        if len(frame)
    ]
    truth, frame, centre = next(
        (truth, frame.frame_index, centre)
        for truth, frame in pairs
        for centre in centres_xy(frame.boxes_xyxy)
        if np.hypot(
            *(centres_xy(truth.boxes_xyxy[truth.rows_at(frame.frame_index)]) - centre).T
        ).min()
        > 8
    )
    path = ((frame, float(centre[0]), float(centre[1]), 4.0),)
    rules = replace(config.evaluation, ignored_regions={truth.name: (path,)})
    ignoring = replace(config, evaluation=rules)
    after = evaluate_classical(ignoring, method="tophat", split="train")
    num_frames = sum(result.annotation.num_frames for result in before.results)
    rates = [s.report.overall.pd_fa.false_alarms_per_frame * num_frames for s in (before, after)]
    assert rates[0] - rates[1] == pytest.approx(1)
    assert after.report.overall.pd_fa.pd == before.report.overall.pd_fa.pd
    changed = [run(one, "turned-180").changes["turned-180"].overall for one in (config, ignoring)]
    rates = [scores.false_alarms_per_frame * num_frames for scores in changed]
    assert rates[0] - rates[1] == pytest.approx(1)


def assert_same(found: ChangeScores, expected: Scores) -> None:
    roc = expected.pd_fa.roc
    assert found.pd_at_1e_6_per_pixel == roc.pd_at_false_alarms_per_pixel["1e-6"]
    assert found.pd_at_1e_5_per_pixel == roc.pd_at_false_alarms_per_pixel["1e-5"]
    assert found.pd_at_0_05_per_frame == roc.pd_at_false_alarms_per_frame["0.05"]
    assert 0 < found.pd == expected.pd_fa.pd
    assert found.false_alarms_per_frame == expected.pd_fa.false_alarms_per_frame
    assert found.idf1 == expected.tracking.idf1
    assert found.id_switches == expected.tracking.id_switches


def test_unchanged_footage_scores_as_evaluate_scores_it(config):
    found = run(config, "none").changes["none"]
    expected = evaluate_classical(config, method="tophat", split="train").report
    assert found.per_sequence.keys() == expected.per_sequence.keys() == {"a", "b"}
    assert_same(found.overall, expected.overall)
    for name, scores in expected.per_sequence.items():
        assert_same(found.per_sequence[name], scores)
    assert found.overall.num_targets == expected.rules.num_targets


def test_zones_that_are_ignored_count_as_evaluate_counts_them(config):
    zones = IgnoredZones(boxes=((0, 33, 80, 31),))
    found = run(config, "none", ignored=zones).changes["none"]
    scored = evaluate_classical(config, method="tophat", split="train", ignored=zones)
    roc = scored.report.overall.pd_fa.roc
    assert 0 < found.overall.pd_at_1e_5_per_pixel == roc.pd_at_false_alarms_per_pixel["1e-5"]
    whole = evaluate_classical(config, method="tophat", split="train")
    for result, other in zip(scored.results, whole.results, strict=True):
        is_low = centres_xy(other.annotation.boxes_xyxy)[:, 1] >= 33
        np.testing.assert_array_equal(result.annotation.is_ignored, is_low)
        for detections in result.detections:
            assert (centres_xy(detections.boxes_xyxy)[:, 1] < 33).all()
    assert 0 < found.overall.num_targets < whole.report.rules.num_targets


@pytest.mark.parametrize("name", ["turned-90", "jerks", "every-3rd", "half"])
def test_ignored_zones_move_with_the_change(name):
    zone = np.zeros((60, 80), bool)
    zone[10:30, 20:50] = True
    # A picture of the zone itself, so that pixels and zone can be compared.
    footage = Footage.of(
        SequenceAnnotation.empty(name="a", num_frames=9, image_hw=zone.shape),
        lambda _: zone.astype(np.float32),
        bit_depth=8,
        is_ignored=zone,
    )
    changed = CHANGES[name].apply(footage, np.random.default_rng(1))
    for position in range(len(changed)):
        shown, ignored = changed.read(position), changed.ignored_at(position)
        assert ignored.shape == shown.shape
        assert ignored[shown > 0.5].all()
        assert not ignored[shown < 0.05].any()
        assert 0 < ignored.mean() < 0.5


def test_every_change_is_scored(config):
    found = run(config, *CHANGES, max_frames=10)
    assert list(found.changes) == list(CHANGES)
    scores = {name: result.overall for name, result in found.changes.items()}
    assert all(0 <= one.pd <= 1 for one in scores.values())
    assert scores["none"].num_targets == 40
    assert scores["every-2nd"].num_targets == 20
    assert len(set(scores.values())) > len(CHANGES) / 2
    others = [one.pd for name, one in scores.items() if name != "none"]
    assert found.mean.pd == pytest.approx(np.mean(others))


def test_missing_frames_are_neither_seen_nor_scored(config):
    found = run(config, "every-3rd", max_frames=12).changes["every-3rd"].overall
    whole = run(config, "none", max_frames=12).changes["none"].overall
    assert (found.num_targets, whole.num_targets) == (16, 48)
    # `tophat` looks at single frames: with the detector's own scores only the sample differs.
    assert found.pd == pytest.approx(whole.pd, abs=0.25)


def test_same_seed_gives_the_same_scores_and_another_one_others(config):
    first, again = (run(config, "jerks", "noise", seed=1) for _ in range(2))
    assert first.changes == again.changes
    other = run(config, "jerks", "noise", seed=2)
    assert first.changes != other.changes


def test_order_and_choice_of_changes_do_not_matter(config):
    together = run(config, "roll", "noise").changes
    alone = run(config, "noise", "noise").changes
    assert list(alone) == ["noise"]
    assert alone["noise"] == together["noise"]


def test_unknown_change_is_one_line_with_the_names(config):
    with pytest.raises(ConfigError) as caught:
        run(config, "roll", "rotate")
    assert str(caught.value).startswith("no change is named 'rotate'; choose from none, roll, ")
    assert "\n" not in str(caught.value)


def test_json_says_where_the_numbers_come_from(config, tmp_path):
    found = run(config, "none", "half", seed=3, max_frames=4, command="stdet robustness c.yaml")
    write_report(tmp_path / "r.json", found)
    content = json.loads((tmp_path / "r.json").read_text())
    assert content["command"] == "stdet robustness c.yaml"
    assert content["detector"] == "tophat"
    assert (content["seed"], content["max_frames"], content["split"]) == (3, 4, "train")
    assert content["commit"]
    assert content["changes"]["half"]["what"] == "half the size"
    assert content["changes"]["none"]["num_targets"] == 16
    assert content["mean"]["pd"] == content["changes"]["half"]["pd"]
    assert content["changes"]["half"]["per_sequence"].keys() == {"a", "b"}


def test_identities_are_linked_before_the_change(tmp_path, write_coco_split):
    config = StdetConfig(data=write_coco_split(tmp_path, SCENES))
    path = tmp_path / "annotations" / "train.json"
    labels = json.loads(path.read_text())
    for annotation in labels["annotations"]:
        del annotation["track_id"]
    path.write_text(json.dumps(labels))
    found = run(config, "jerks", max_frames=6)
    assert found.linked_sequences == ("a", "b")
    assert "before the change: a, b." in robustness_table(found).render("text")
    # Jerks of 6 to 30 px would break links of at most 1 px.
    strict = replace(config, evaluation=EvaluationConfig(link_gate_px=1.0))
    assert run(strict, "jerks", max_frames=6).changes == found.changes


def test_sequences_of_one_name_are_refused(config):
    (source,) = config.data.train
    twice = replace(config, data=replace(config.data, train=(source, source)))
    with pytest.raises(DataError, match="more than one sequence is named 'a'"):
        run(twice, "none")


def test_table_has_a_row_per_change_and_their_mean(config):
    text = robustness_table(run(config, "none", "turned-90", max_frames=4)).render("csv")
    lines = text.splitlines()
    assert lines[0].startswith(",Pd 1e-6/px,Pd 1e-5/px,Pd .05/frame,Pd,Fa/frame,IDF1,")
    assert [line.split(",")[0] for line in lines[1:]] == ["none", "turned-90", "mean of changes"]
    assert lines[2].split(",")[1:] == lines[3].split(",")[1:]


def test_unchanged_footage_alone_has_no_mean(config):
    found = run(config, "none", max_frames=4)
    assert found.mean is None
    assert found.to_dict()["mean"] is None
    assert "mean of changes" not in robustness_table(found).render("csv")


def test_scores_that_are_undefined_are_left_out_of_the_mean():
    names = ChangeScores.__dataclass_fields__
    one = ChangeScores(**dict.fromkeys(names, 0.5))
    undefined = replace(one, pd=math.nan, idf1=1.0)
    mean = ChangeScores.mean([one, undefined])
    assert (mean.pd, mean.idf1) == (0.5, 0.75)
    assert math.isnan(ChangeScores.mean([undefined]).pd)


@pytest.mark.parametrize(
    ("change", "owner", "reader", "most"),
    [("roll", LabelledSequence, "read", 5), ("h264", recording, "compress", 1)],
    ids=["frames", "groups of compressed frames"],
)
def test_memory_does_not_grow_with_the_footage(config, monkeypatch, change, owner, reader, most):
    made, num_alive = [], []
    original = getattr(owner, reader)

    def read(*args, **options):
        num_alive.append(1 + sum(ref() is not None for ref in made))
        pixels = original(*args, **options)
        made.append(weakref.ref(pixels))
        return pixels

    monkeypatch.setattr(owner, reader, read)
    run(config, change)
    # Frames that are resampled are read once before, for the bad pixels in them.
    assert len(made) == (2 * 28 if change == "roll" else 2)
    assert max(num_alive) <= most
