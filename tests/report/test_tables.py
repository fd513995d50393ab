from stdet.report.tables import Table


def test_names_do_not_break_rows_or_steer_a_terminal():
    table = Table(header=("", "a\nb"), rows=(("\x1b[2J", "c\udce9"),), notes=("n\x07",))
    for style in ("text", "markdown", "latex", "csv"):
        text = table.render(style)
        assert "\x1b" not in text
        assert "a\nb" not in text
        text.encode("ascii")
