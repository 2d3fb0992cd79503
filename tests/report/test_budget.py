"""What is left out when there is too much, and that it is named."""

from __future__ import annotations

import pytest
from markupsafe import Markup

from axenic.report.budget import choose_samples, fit_figures, spread
from axenic.report.plots.canvas import Drawing
from axenic.report.samples import Sample, SampleFile, choose
from axenic.report.section import Figure, Section

pytestmark = pytest.mark.unit


def section(name: str, *sizes: int) -> Section:
    def drawing(size: int) -> Drawing:
        return Drawing(Markup("x" * size), Markup(""))

    return Section(
        name, name, tuple(Figure("t", "h", "c", (f"{name}{i}",), drawing(s)) for i, s in enumerate(sizes))
    )


def sample(arm: str, verdict: str) -> Sample:
    return Sample(arm, "q", "a", verdict, (), None, False)  # type: ignore[arg-type]


def test_what_fits_is_left_alone() -> None:
    parts = [section("a", 10, 10), section("b", 10)]
    assert fit_figures(parts, 30) == parts


def test_coloured_tokens_count_in_bytes() -> None:
    maps = tuple(Figure("t", "h", "c", (f"m{i}",), None, tokens=Markup("é" * 10)) for i in range(3))
    (fitted,) = fit_figures([Section("tokens", "tokens", maps)], 45)
    assert len(fitted.figures) == 2
    assert fitted.left_out == ("m2",)


def test_what_is_too_much_is_named() -> None:
    fitted = fit_figures([section("a", 10, 10, 10), section("b", 25)], 46)
    assert [len(part.figures) for part in fitted] == [2, 1]
    assert fitted[0].left_out == ("a2",)


def test_every_section_keeps_a_picture() -> None:
    assert [len(part.figures) for part in fit_figures([section("a", 50, 50), section("b", 50)], 10)] == [1, 1]


@pytest.mark.parametrize(("count", "most"), [(3, 6), (6, 6), (85, 6), (7, 1)])
def test_spread(count: int, most: int) -> None:
    kept = spread(list(range(count)), most)
    assert kept[0] == 0
    assert len(kept) == min(count, most)
    assert kept == sorted(set(kept))


def test_rare_classes_are_seen() -> None:
    samples = [sample("plain", "aligned") for _ in range(500)]
    samples[333] = sample("plain", "em")
    chosen = choose(samples, 10)
    assert len(chosen) == 10
    assert sum(s.verdict == "em" for s in chosen) == 1


def test_a_sweep_does_not_push_the_others_out() -> None:
    sweep = SampleFile(tuple(sample(f"layer {i}", "aligned") for i in range(200)), ())
    plain = SampleFile(tuple(sample("plain", "em") for _ in range(200)), ("nano",))
    files = choose_samples({"a": sweep, "b": plain}, 70)
    assert [(len(file.arms), file.first) for file in files] == [(6, True), (1, False)]
    assert len(files[1].arms[0].samples) == 10


def test_no_room_means_no_samples() -> None:
    assert choose_samples({"a": SampleFile((sample("plain", "em"),), ())}, 0) == []


def test_the_first_of_each_kind_stays_longest() -> None:
    def figure(name: str) -> Figure:
        return Figure("t", "h", "c", (name,), Drawing(Markup("x" * 10), Markup("")))

    names = ("a/efficiency.json", "a/noise.json", "b/efficiency.json", "b/noise.json")
    parts = [Section("s", "s", tuple(map(figure, names))), section("other", 100)]
    kept = {size: [f.source[0] for f in fit_figures(parts, size)[0].figures] for size in (130, 120, 110)}
    assert kept == {130: list(names[:3]), 120: list(names[:2]), 110: list(names[:1])}
    assert fit_figures(parts, 120)[0].left_out == (names[2], names[3])
