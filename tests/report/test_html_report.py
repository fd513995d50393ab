import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from stdet.config import EvaluationConfig
from stdet.errors import DataError
from stdet.evaluation.report import evaluate_sequences
from stdet.types import Detections, SequenceAnnotation, Tracks

VOID = {"meta", "br"}


class Page(HTMLParser):
    """Checks that elements nest, and collects them with their attributes and all text."""

    def __init__(self, path):
        super().__init__()
        self.open_tags, self.elements, self.text = [], [], ""
        self.source = path.read_text(encoding="ascii")
        self.feed(self.source)
        self.close()
        assert self.open_tags == []

    def handle_starttag(self, tag, attributes):
        assert len({name for name, _ in attributes}) == len(attributes)
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open_tags.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag

    def handle_data(self, data):
        if self.open_tags and self.open_tags[-1] not in {"style", "script"}:
            self.text += data

    def all(self, tag, css_class=None):
        return [
            attributes
            for name, attributes in self.elements
            if name == tag
            and (css_class is None or css_class in (attributes.get("class") or "").split())
        ]


@pytest.fixture(scope="module")
def results(build):
    empty = SequenceAnnotation.empty(name="empty sky", num_frames=5, image_hw=(64, 64))
    nothing = tuple(Detections.empty(frame_index=n, image_hw=(64, 64)) for n in range(5))
    return [
        build.wandering_result("one", seed=1),
        build.wandering_result("two", seed=2),
        build.result(empty, nothing),
    ]


@pytest.fixture(scope="module")
def page(write_page, results, tmp_path_factory):
    return Page(write_page(tmp_path_factory.mktemp("page"), results))


def test_page_is_well_formed_and_complete(page):
    headings = re.findall(r"<h2>([^<]+)</h2>", page.source)
    assert headings == [
        "Scores of all sequences",
        "Rules",
        "Curves",
        "Which targets are found",
        "Sequences",
        "Errors over time",
        "Worst frames",
    ]
    assert len(page.all("svg", "chart")) == 4
    assert len(page.all("svg", "strip")) == 2 * 3
    assert len([row for row in page.all("tr") if "data-row" in row]) == 3


def test_page_asks_no_server_for_anything(page):
    assert not re.search(r"https?:|url\(|@import|fetch\(", page.source)
    links = [a[name] for _, a in page.elements for name in ("src", "href") if name in a]
    assert links
    assert all(link.startswith("data:image/png;base64,") for link in links)
    policies = [a["content"] for a in page.all("meta") if "http-equiv" in a]
    assert policies[0].startswith("default-src 'none'")


def test_page_fits_a_phone(page):
    viewports = [a["content"] for a in page.all("meta") if a.get("name") == "viewport"]
    assert viewports == ["width=device-width, initial-scale=1"]


def test_every_chart_and_image_says_what_it_shows(page):
    for attributes in page.all("svg"):
        assert attributes["role"] == "img"
        assert attributes["aria-label"]


def test_scores_stand_with_their_intervals_and_rules(page, results):
    report = evaluate_sequences(results, EvaluationConfig(), confidence=0.5)
    low, high = report.bootstrap.intervals()["pd_fa.pd"]
    assert f"{low:.4f} to {high:.4f}" in page.text
    assert "HOTA (gate 8 px)" in page.text
    assert "centre distance < 3 px" in page.text
    assert "65 in 3 sequence(s)" in page.text
    assert "120 true boxes" in page.text


def test_subsets_and_missing_identities_are_said(build, write_page, tmp_path):
    results = [build.wandering_result("one", seed=1), build.wandering_result("two", seed=2)]
    results[1] = replace(results[1], tracks=Tracks.empty(), is_tracked=False)
    subsets = {"without two": ["one"]}
    report = evaluate_sequences(results, EvaluationConfig(), confidence=0.5, subsets=subsets)
    text = Page(write_page(tmp_path, results, report=report)).text
    assert "Sequences without two" in text
    assert "Predictions without identities, so no tracking scorestwo" in text


def test_ignored_truth_under_the_strongest_detection_breaks_no_curve(build, write_page, tmp_path):
    truth = build.annotation(
        [[(10, 10, 14, 14)], [(30, 30, 34, 34)]], ignored=[[True], [False]], name="one"
    )
    found = build.detections([[(10, 10, 14, 14, 0.95)], [(30, 30, 34, 34, 0.5)]])
    page = Page(write_page(tmp_path, [build.result(truth, found)]))
    drawn = " ".join(a.get("d") or "" for _, a in page.elements)
    assert "nan" not in drawn


def test_undefined_numbers_are_dashes_and_reach_no_drawing(page):
    assert not re.search(r"\b(nan|inf)\b", page.text, re.IGNORECASE)
    drawn = [a.get(name) or "" for _, a in page.elements for name in ("d", "x", "y", "cx", "cy")]
    assert not re.search("nan|inf", " ".join(drawn))


def test_sequences_with_guessed_identities_are_named(build, write_page, tmp_path):
    truth = [[(10, 10, 14, 14), (40, 40, 44, 44)]] * 3
    linked = build.result(build.annotation(truth, name="guess"), build.detections([[], [], []]))
    given = build.wandering_result("given")
    text = Page(write_page(tmp_path, [linked, given])).text
    assert "guess (steps up to 30 px; these tracking scores rest on a guess)" in text


def test_timelines_add_up_to_the_report(page, results):
    report = evaluate_sequences(results, EvaluationConfig(), confidence=0.5)
    assert report.per_sequence["one"].tracking.id_switches == 2
    assert page.text.count("id switches 2") == 2
    assert "5 frames without errors." in page.text


def test_worst_frames_show_true_boxes_dashed_and_false_alarms(page):
    crops = page.all("figure", "crop")
    assert 1 < len(crops) <= 24
    assert {crop["data-sequence"] for crop in crops} == {"0", "1"}
    for kind in ["truth", "hit", "false"]:
        assert page.all("rect", kind)
    assert re.search(r"one, frame \d+: \d+ miss", page.text)


def test_crops_hold_the_pixels_of_the_frame(build, write_page, tmp_path):
    frame = np.tile(np.linspace(0.2, 0.4, 80, dtype=np.float32), (80, 1))
    truth = build.annotation([[(70, 70, 74, 74)]], hw=(80, 80))
    result = build.result(truth, build.detections([[]], hw=(80, 80)))
    page = Page(write_page(tmp_path, [result], read_frame=lambda *_: frame))
    (image,) = page.all("image")
    assert [image[name] for name in ("x", "y", "width", "height")] == ["16", "16", "64", "64"]
    pixels = np.array(Image.open(io.BytesIO(base64.b64decode(image["href"].split(",")[1]))))
    assert pixels.shape == (64, 64)
    assert pixels[0, 0] == 0
    assert pixels[0, -1] == 255
    assert (np.diff(pixels[5].astype(int)) >= 0).all()


def test_missed_target_shows_the_detection_that_was_too_weak(build, write_page, tmp_path):
    boxes = [(10, 10, 14, 14)]
    found = build.detections(
        [[(10, 10, 14, 14, 0.3), (11, 10, 15, 14, 0.2), (40, 9, 44, 13, 0.4)]]
    )
    page = Page(write_page(tmp_path, [build.result(build.annotation([boxes]), found)]))
    assert len(page.all("rect", "weak")) == 1
    assert "0.300" in page.text


def test_frames_smaller_than_a_crop_are_shown_whole(build, write_page, tmp_path):
    result = build.result(
        build.annotation([[(1, 1, 3, 3)]], hw=(20, 30)), build.detections([[]], hw=(20, 30))
    )
    frame = np.random.default_rng(0).random((20, 30), np.float32)
    page = Page(write_page(tmp_path, [result], read_frame=lambda *_: frame))
    (image,) = page.all("image")
    assert [image[name] for name in ("x", "y", "width", "height")] == ["0", "0", "30", "20"]


def test_report_without_images_says_so(write_page, results, tmp_path):
    page = Page(write_page(tmp_path, results, has_images=False))
    assert page.text.count("The frames were not at hand") == 2
    assert page.all("image") == []
    assert len(page.all("svg", "chart")) == 3


def test_constant_frames_leave_contrast_out_and_say_so(write_page, results, tmp_path):
    grey = np.full((64, 64), 0.5, np.float32)
    page = Page(write_page(tmp_path, results, read_frame=lambda *_: grey))
    assert "Left out: 120 target(s)" in page.text


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert('1')</script>&\"\u2603",
        "</title></style></svg></main><img src=x onerror=alert(1)>",
        'a" onmouseover="alert(1)',
        "{{ title }}{% include 'report_page.js' %}{# a #}&amp;&#60;b&#62;",
        "Stra\u00dfe \u65e5\u672c \U0001f6f0",
        "long" * 100,
    ],
    ids=["script", "closing-tags", "attribute", "template", "non-ascii", "long"],
)
def test_names_are_shown_as_they_are_and_never_run(build, write_page, tmp_path, name):
    truth = [[(10, 10, 14, 14), (40, 40, 44, 44)]] * 3
    linked = build.result(build.annotation(truth, name=name), build.detections([[], [], []]))
    untracked = replace(
        build.wandering_result(f"2 {name}"), tracks=Tracks.empty(), is_tracked=False
    )
    results = [linked, untracked]
    subsets = {f"of {name}": [name]}
    report = evaluate_sequences(results, EvaluationConfig(), confidence=0.5, subsets=subsets)
    page = Page(write_page(tmp_path, results, title=f"T {name}", report=report))
    plain = [build.wandering_result("one"), build.wandering_result("two")]
    known = Page(write_page(tmp_path / "plain", plain))
    assert {tag for tag, _ in page.elements} == {tag for tag, _ in known.elements}
    assert not [a for _, a in page.elements if {"onerror", "onmouseover"} & a.keys()]
    assert len(page.all("script")) == 1
    for text in [
        f"T {name}",
        f"Sequences of {name}",
        f"{name} (steps up to",
        f"no tracking scores2 {name}",
        f"{name}, frame 0",
    ]:
        assert text in page.text
    labels = [a["aria-label"] for a in page.all("svg")]
    assert f"{name}: misses over 3 frames" in labels
    assert any(label.startswith(f"{name}, frame 0: 2 misses") for label in labels)


def test_flawless_detector_has_no_worst_frames(build, write_page, tmp_path):
    boxes = [[(10, 10, 14, 14)]] * 2
    found = build.detections([[(10, 10, 14, 14, 0.9)]] * 2)
    tracked = build.tracks([[(1, 10, 10, 14, 14)]] * 2)
    result = build.result(build.annotation(boxes), found, tracked)
    assert "No frame has a miss or a false alarm." in Page(write_page(tmp_path, [result])).text


def test_nothing_found_and_nothing_there_make_a_page(build, write_page, tmp_path):
    silent = build.result(
        build.annotation([[(1, 1, 3, 3)]], name="silent"), build.detections([[]])
    )
    empty = build.result(build.annotation([[], []], name="empty"), build.detections([[], []]))
    assert "no detection scores 0.5 or more" in Page(write_page(tmp_path / "a", [silent])).text
    assert "no targets" in Page(write_page(tmp_path / "b", [empty])).text


@pytest.mark.slow
def test_hundred_sequences_stay_below_five_megabytes(build, write_page, tmp_path):
    results = [build.wandering_result(f"s{n}", num_frames=60, seed=n) for n in range(100)]
    path = write_page(tmp_path, results)
    assert path.stat().st_size < 5e6
    assert len(Page(path).all("figure", "crop")) == 24


def test_new_report_replaces_the_old_one_whole(build, write_page, tmp_path):
    folder = tmp_path / "new" / "folder"
    write_page(folder, [build.wandering_result("one")], title="first")
    path = write_page(folder, [build.wandering_result("one")], title="second")
    assert [file.name for file in folder.iterdir()] == ["index.html"] == [path.name]
    assert "second" in Page(path).text


def test_folder_that_cannot_be_made_is_the_users_error(build, write_page, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_page(tmp_path / "file", [build.wandering_result("one")])


def test_page_names_the_rule_of_a_hit_and_the_rates_that_were_asked_for(
    build, write_page, tmp_path
):
    config = EvaluationConfig(hit_rule="iou", pd_at_false_alarms=(0.3,))
    results = [build.wandering_result("one")]
    report = evaluate_sequences(results, config, confidence=0.5)
    found = Page(write_page(tmp_path, results, config=config, report=report)).text
    assert found.count("IoU >= 0.5") == 3  # Among the rules and below both curves.
    assert "centre distance < 3 px" not in found
    assert "Pd at Fa 0.3/frame" in found
    assert "Pd at Fa 0.05/frame" not in found


def test_report_of_other_sequences_or_rules_is_refused(build, write_page, tmp_path):
    one, other = build.wandering_result("one"), build.wandering_result("other")
    config = EvaluationConfig()
    report = evaluate_sequences([other], config, confidence=0.5)
    with pytest.raises(ValueError, match="expected the same sequences"):
        write_page(tmp_path, [one], report=report)
    with pytest.raises(ValueError, match="report has pd_radius_px"):
        write_page(tmp_path, [one], config=EvaluationConfig(pd_radius_px=4.0))
    with pytest.raises(ValueError, match="report has hit_rule"):
        write_page(tmp_path, [one], config=EvaluationConfig(hit_rule="iou"))
    assert list(tmp_path.iterdir()) == []


def test_tracks_alone_make_a_page(build, write_page, tmp_path):
    found = build.wandering_result("one")
    bare = build.result(found.annotation, found.detections, Tracks.empty())
    assert "id switches 0" in Page(write_page(tmp_path, [bare])).text
