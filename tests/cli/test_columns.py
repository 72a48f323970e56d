import pytest

from prune_kit_cli.columns import WIDTH, field, plain, right_aligned, shortened, width_of, wrapped


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("", 0), ("日本", 4), ("e\u0301", 1), ("\uff21", 2), ("é", 1), ("|日|", 4)],
)
def test_how_many_columns_a_text_takes(text, width):
    assert width_of(text) == width


def test_the_end_of_what_is_too_long_stays():
    assert shortened("/a/long/path/to/scores.parquet", 17) == "...scores.parquet"
    assert shortened("short", 17) == "short"
    assert shortened("日本語日本語", 8) == "...本語"  # two columns each: one is left over
    assert all(width_of(shortened("日" * 50, most)) <= most for most in range(4, 30))


def test_what_would_move_the_cursor_is_not_printed():
    assert plain("a\nb\tc") == "a b c"
    assert plain("\x1b[31mred\x07") == "?[31mred?"
    assert plain("\u202eabc") == "?abc"  # would turn the direction of what follows


def test_a_field_goes_on_below_its_value():
    lines = field("data", "word " * 40)
    assert lines[0].startswith("  data      word word")
    assert all(line.startswith(" " * 12 + "word") for line in lines[1:])
    assert sum(line.count("word") for line in lines) == 40
    assert all(width_of(line) <= WIDTH for line in lines)
    assert field("run", "x" * 200) == ["  run       ..." + "x" * 65]
    assert field("epochs", "") == ["  epochs    "]


def test_alignment_and_wrapping():
    assert right_aligned("日本", 6) == "  日本"
    lines = wrapped(["a " * 60, "short"])
    assert [len(line) <= WIDTH for line in lines] == [True] * 3
    assert lines[1].startswith("  a")
    assert lines[2] == "short"
