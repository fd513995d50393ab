"""Every example of docs/python.md runs, in the order of the page, in one folder."""

import re
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import yaml
from scenes import SyntheticConfig, generate

import stdet
from stdet.config import StdetConfig, TrainConfig, config_to_dict

PAGE = (Path(__file__).parents[1] / "docs/python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
OPTIONAL = ("pandas", "supervision")
"""Libraries that an example names and stdet does without."""


def _write_frames(folder: Path) -> None:
    """Write frames.npy, and the same as video.mp4."""
    frames, _ = generate(SyntheticConfig(num_frames=26, hw=(64, 80), num_targets=1))
    np.save(folder / "frames.npy", frames)
    with av.open(str(folder / "video.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.height, stream.width, stream.pix_fmt = 64, 80, "yuv420p"
        for frame in frames:
            rgb = np.repeat(frame[:, :, None], 3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_model, write_coco_split):
    """Return a folder with what the examples name."""
    folder = tmp_path_factory.mktemp("examples")
    _write_frames(folder)
    scenes = [
        SyntheticConfig(num_frames=6, hw=(32, 32), num_targets=1, name=name, seed=seed)
        for seed, name in enumerate(("a", "b"))
    ]
    data = write_coco_split(folder / "data", scenes)
    (source,) = data.train
    config = StdetConfig(
        data=replace(
            data,
            train=(replace(source, sequences=("a",)),),
            validation=(replace(source, sequences=("b",)),),
        ),
        model=tiny_model(),
        train=TrainConfig(epochs=2, batch_size=2, num_workers=0, device="cpu"),
    )
    (folder / "daub.yaml").write_text(yaml.safe_dump(config_to_dict(config)), encoding="utf-8")
    return folder


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_example_of_the_page_runs(number, folder, monkeypatch, capsys):
    for name in OPTIONAL:
        if f"to_{name}" in BLOCKS[number] or (name == "pandas" and "dataframe" in BLOCKS[number]):
            pytest.importorskip(name)
    monkeypatch.chdir(folder)
    exec(compile(BLOCKS[number], f"docs/python.md, example {number + 1}", "exec"), {})
    assert capsys.readouterr().out or (folder / "drawn").is_dir()


def test_page_names_every_public_name_in_its_table():
    named = set(re.findall(r"`stdet\.(\w+)`", PAGE[: PAGE.index("## ")]))
    assert named == set(stdet.__all__)


def test_page_has_an_example_of_each_kind():
    assert len(BLOCKS) == 14
