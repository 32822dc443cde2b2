"""Small figures: places of lines and ticks worked out by hand."""

from __future__ import annotations

import pytest

from clearbench.report.panel import Panel, even_ticks, round_places, wider


def panel() -> Panel:
    """100 by 50 pixels within the axes, for 0 to 10 across and 0 to 1 upwards."""
    return Panel((130, 70), (20, 15, 10, 5), (0.0, 10.0), (0.0, 1.0))


@pytest.mark.parametrize(
    ("points", "path"),
    [
        ([(0, 0), (10, 1)], "M0 50l100 -50"),
        ([(0, 1), (5, 1), (5, 0.5)], "M0 0h50v25"),
        ([(0, 0.99), (0, 0.98), (0.01, 0.98)], "M0 .5v.5h.1"),
        ([(2, 0.5), (2.0001, 0.50001), (1, 0.5)], "M20 25h-10"),
        ([(0, 0)], "M0 50"),
    ],
)
def test_a_line_is_the_moves_between_its_points(
    points: list[tuple[float, float]], path: str
) -> None:
    drawn = panel()
    drawn.line(points, "stroke:red")
    assert drawn.parts == [f'<path style="fill:none;stroke:red" d="{path}"/>']


def test_steps_are_level_up_to_the_next_point() -> None:
    drawn = panel()
    drawn.steps([(0, 0), (5, 0.5), (10, 1)], "")
    assert 'd="M0 50h50v-25h50v-25"' in drawn.parts[0]


def test_ticks_stand_on_the_axes() -> None:
    figure = panel().svg([(5, "five")], [(0.5, "half")])
    assert figure.startswith('<svg viewBox="0 0 130 70"')
    assert '<text x="70" y="67" text-anchor="middle">five</text>' in figure
    assert '<text x="13.5" y="32.8" text-anchor="end">half</text>' in figure
    assert "M70 55v3" in figure and "M20 30h-3" in figure
    assert '<svg x="20" y="5" width="100" height="50">' in figure, "lines end at the axes"
    assert "M20 5v50h100" in figure


@pytest.mark.parametrize(
    ("places", "texts"),
    [
        ([0, 0.5, 1], ["0.0", "0.5", "1.0"]),
        ([-5, 0, 5, 10, 20], ["\N{MINUS SIGN}5", "0", "5", "10"]),
        ([0.25, 0.5], ["0.25", "0.50"]),
        ([0, 1e-7], ["0", "1e-07"]),
        ([], []),
    ],
)
def test_numbers_have_the_decimals_of_the_finest(places: list[float], texts: list[str]) -> None:
    assert [text for _, text in even_ticks(places, (-5, 10))] == texts


@pytest.mark.parametrize(
    ("within", "most", "whole", "places"),
    [
        ((0.0, 1.0), 5, False, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ((-0.3, 9.0), 4, False, [0.0, 2.5, 5.0, 7.5]),
        ((0.5, 3.1), 4, True, [1.0, 2.0, 3.0]),
        ((-1050.0, 1.0), 3, False, [-1000.0, -500.0, 0.0]),
    ],
)
def test_ticks_are_few_and_round(
    within: tuple[float, float], most: int, whole: bool, places: list[float]
) -> None:
    assert round_places(within, most, whole=whole) == pytest.approx(places)


@pytest.mark.parametrize(
    ("numbers", "share", "found"),
    [([0.0, 10.0], 0.1, (-1.0, 11.0)), ([4.0], 0.1, (3.8, 4.2)), ([0.0], 0.1, (-0.05, 0.05))],
)
def test_a_range_has_room_and_is_never_empty(
    numbers: list[float], share: float, found: tuple[float, float]
) -> None:
    assert wider(numbers, share) == pytest.approx(found)


def test_words_are_text_wherever_they_stand() -> None:
    drawn = panel()
    drawn.words(1, 2, "<b>")
    assert "<b>" not in drawn.svg([(1, "<b>")], []) and drawn.svg([], []).count("&lt;b&gt;") == 1
