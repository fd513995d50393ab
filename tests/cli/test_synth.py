def test_synth_writes_a_data_set_that_evaluate_can_read(cli, tmp_path):
    settings = tmp_path / "s.yaml"
    settings.write_text(
        "seed: 1\nscene: {num_frames: 3, hw: [48, 64]}\ngroups: [{split: train, name: one}]\n"
    )
    out = tmp_path / "d"
    outcome = cli("synth", settings, "--out", out, "--jobs", "1")
    assert outcome.code == 0
    assert "1 sequences, 3 frames" in outcome.out
    assert (out / "annotations" / "instances_train2017.json").exists()
    again = cli("synth", settings, "--out", out)
    assert again.code == 2
    assert "pass --overwrite" in again.err[-1]


def test_missing_seed_is_one_line(cli, tmp_path):
    settings = tmp_path / "s.yaml"
    settings.write_text("scene: {num_frames: 3}\n")
    outcome = cli("synth", settings, "--out", tmp_path / "d")
    assert outcome.code == 2
    (line,) = outcome.err
    assert "seed is missing" in line
