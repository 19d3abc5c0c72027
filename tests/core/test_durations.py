"""How durations are read."""

from __future__ import annotations

import pytest

from pmwatchd.core.durations import doubled, parse


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [
        ("500ms", 0.5),
        ("90s", 90),
        ("5m", 300),
        ("2h", 7200),
        ("30d", 2592000),
        ("0s", 0),
        ("1.5h", 5400),
        ("45", 45),
        (" 2 h ", 7200),
    ],
)
def test_a_duration_is_a_number_with_a_unit_and_without_one_it_is_seconds(
    text: str, duration_s: float
) -> None:
    assert parse(text) == pytest.approx(duration_s)


@pytest.mark.parametrize("text", ["", "h", "-5m", "soon", "1h30m", "1,5h", "inf", "nan", "٣s"])
def test_a_word_that_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as"):
        parse(text)


@pytest.mark.parametrize("text", ["2M", "5min", "1w"])
def test_an_unknown_unit_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(ValueError, match="use one of ms, s, m, h, d"):
        parse(text)


def test_a_duration_of_so_many_digits_that_it_never_ends_is_refused() -> None:
    with pytest.raises(ValueError, match="no duration that ever ends"):
        parse("9" * 400 + "h")


@pytest.mark.parametrize(
    ("times", "pause_s"), [(0, 10.0), (1, 20.0), (2, 40.0), (3, 45.0), (1024, 45.0), (10**9, 45.0)]
)
def test_a_pause_doubles_up_to_its_longest_however_often_it_did(times: int, pause_s: float) -> None:
    assert doubled(10.0, times, 45.0) == pause_s
