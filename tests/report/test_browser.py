"""The report in a browser without a network; skipped where no Chromium is installed."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from full_runs import HOSTILE, full_run, full_runs, write_page

from metaux.report.recorded import Recorded
from shell import PATIENCE

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (on Debian: apt-get install chromium)"),
    # Playwright's own event loop is closed by the operating system at the end.
    pytest.mark.filterwarnings("default::ResourceWarning"),
]
MANY = (*HOSTILE, *(f"class {number}" for number in range(20)))
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    recorded = full_runs(folder)
    return write_page(folder, recorded, {"maxl": [0, 1, 3] * 20})


@pytest.fixture(scope="module")
def hostile_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    return write_page(folder, full_runs(folder, ("single", "maxl"), 2, MANY), {"maxl": [0] * 60})


@contextmanager
def opened(browser: Any, file: Path, width: int = 1280, scheme: str = "light") -> Iterator[Any]:
    """Open the file without a network; afterwards nothing may have been asked for, and nothing complained of."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    context.set_default_timeout(1000 * PATIENCE)
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    yield page
    assert said == []
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [file.as_uri()]
    context.close()


@pytest.fixture(scope="module")
def shared(browser: Any, page_file: Path) -> Iterator[Any]:
    """The report on a light screen, drawn once; a test that changes it changes it back."""
    with opened(browser, page_file) as page:
        draw_all(page)
        yield page


@pytest.fixture(scope="module")
def dark(browser: Any, page_file: Path) -> Iterator[Any]:
    """The same on a dark one."""
    with opened(browser, page_file, scheme="dark") as page:
        draw_all(page)
        yield page


@pytest.fixture(scope="module")
def hostile(browser: Any, hostile_file: Path) -> Iterator[Any]:
    """A report whose classes have hostile names."""
    with opened(browser, hostile_file) as page:
        draw_all(page)
        yield page


def draw_all(page: Any) -> None:
    """Scroll through the page, as charts are drawn when they come near."""
    for chart in page.query_selector_all(".chart"):
        chart.scroll_into_view_if_needed()
    page.locator(".chart:not([data-drawn])").first.wait_for(state="detached")


def assert_drawn_and_fitting(page: Any, width: int) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.querySelectorAll('.chart')].every(each => each.querySelector('svg'))")


@pytest.mark.parametrize("width", [360, 768])
def test_every_chart_is_drawn_and_nothing_overflows(browser: Any, page_file: Path, width: int) -> None:
    with opened(browser, page_file, width) as page:
        draw_all(page)
        assert_drawn_and_fitting(page, width)


@pytest.mark.parametrize(("name", "scheme"), [("shared", "light"), ("dark", "dark")])
def test_likewise_in_the_colours_of_the_screen(name: str, scheme: str, request: pytest.FixtureRequest) -> None:
    page = request.getfixturevalue(name)
    assert_drawn_and_fitting(page, 1280)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme


def test_the_three_questions_are_answered_on_the_first_screen(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file) as page:
        for width, height in ((1280, 800), (768, 1024), (390, 844)):
            page.set_viewport_size({"width": width, "height": height})
            assert page.locator(".answers dt").all_text_contents() == [
                "What shall I use?",
                "How good is it?",
                "Where does it fail?",
            ]
            assert page.evaluate("document.querySelector('.answers').getBoundingClientRect().bottom") < height


@pytest.mark.parametrize("name", ["shared", "dark", "hostile"])
def test_axe_finds_nothing_serious(name: str, request: pytest.FixtureRequest) -> None:
    page = request.getfixturevalue(name)  # which skips the test without Playwright
    from axe_playwright_python.sync_playwright import Axe

    closed = "details:not([open])"
    page.evaluate(
        f"window.wereClosed = [...document.querySelectorAll('{closed}')]; wereClosed.forEach(e => e.open = true)"
    )
    found = Axe().run(page).response["violations"]
    page.evaluate("wereClosed.forEach(each => each.open = false)")
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")] == []


def test_opens_soon(browser: Any, page_file: Path) -> None:
    page = browser.new_page()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})  # the processor's time, whatever else it does
    page.goto(page_file.as_uri())
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    page.close()
    assert 0 < metrics["TaskDuration"] < 3


def test_the_toggle_changes_the_theme_and_the_charts(shared: Any) -> None:
    ink = "document.querySelector('[data-chart=differences]').layout.font.color"
    paper = "getComputedStyle(document.body).backgroundColor"
    before = shared.evaluate(ink), shared.evaluate(paper)
    shared.focus("#theme")
    shared.keyboard.press("Enter")
    assert shared.evaluate("document.documentElement.dataset.theme") == "dark"
    after = shared.evaluate(ink), shared.evaluate(paper)
    assert before[0] != after[0]
    assert before[1] != after[1]
    shared.keyboard.press("Enter")
    assert (shared.evaluate(ink), shared.evaluate(paper)) == before


def test_no_confusion_is_the_colour_of_the_paper(dark: Any) -> None:
    assert dark.evaluate("document.querySelector('[data-chart=confusion]').data[0].colorscale[0]") == [0, "#161719"]


def test_the_selector_changes_every_chart_of_its_group(shared: Any) -> None:
    means = "JSON.stringify(document.querySelector('[data-chart=classes]').data.map(each => each.x))"
    matrix = "JSON.stringify(document.querySelector('[data-chart=confusion]').data[0].z)"
    before = shared.evaluate(means), shared.evaluate(matrix)
    shared.select_option("#choose-where", "kmeans")
    assert shared.evaluate(means) != before[0]
    assert shared.evaluate(matrix) != before[1]
    assert shared.text_content("[data-name=where]") == "kmeans"
    shared.select_option("#choose-invented", "kmeans")
    shown = (
        "[...document.querySelectorAll('[data-group=invented]')]"
        ".filter(each => !each.hidden).map(each => each.dataset.option)"
    )
    assert shared.evaluate(shown) == ["kmeans"]
    for selector in ("#choose-where", "#choose-invented"):
        shared.select_option(selector, "maxl")
    assert (shared.evaluate(means), shared.evaluate(matrix)) == before


def test_a_method_is_taken_out_of_all_curves(shared: Any) -> None:
    lines = "document.querySelectorAll('[data-chart=training-test_accuracy] .scatterlayer .trace').length"
    before = shared.evaluate(lines)
    shared.uncheck("[data-method=maxl]")
    assert shared.evaluate(lines) == before - 3  # a line, and two of its band
    shared.check("[data-method=maxl]")
    assert shared.evaluate(lines) == before


def test_hover_names_a_sample_and_shows_it(shared: Any) -> None:
    shared.locator("[data-chart=features]").scroll_into_view_if_needed()
    place = shared.evaluate(
        "(() => { const at = document.querySelector('[data-chart=features] .points path').getBoundingClientRect();"
        " return [at.x + at.width / 2, at.y + at.height / 2]; })()"
    )
    shared.mouse.move(place[0] + 30, place[1] + 30)
    shared.mouse.move(*place)
    shared.wait_for_selector("[data-chart=features] .hoverlayer .hovertext")
    assert shared.text_content("#inspected").startswith("Test sample ")
    assert "data:image/webp" in shared.evaluate("document.getElementById('thumbnail').style.backgroundImage")


def test_the_keyboard_walks_through_the_samples(shared: Any) -> None:
    shared.focus("#walk")
    shared.keyboard.press("Home")
    shared.keyboard.press("ArrowRight")
    assert shared.text_content("#inspected").startswith("Test sample 4: dog/1")
    shared.keyboard.press("End")
    assert shared.text_content("#inspected").startswith("Test sample 236")
    assert shared.get_attribute("#thumbnail", "aria-label").startswith("Test sample 236")


def test_the_map_is_coloured_by_class_or_sub_class(shared: Any) -> None:
    colours = "JSON.stringify(document.querySelector('[data-chart=features]').data[0].marker.color)"
    by_class = shared.evaluate(colours)
    shared.check("[value=subclass]")
    assert shared.evaluate(colours) != by_class
    assert "sub-class 3" in shared.text_content("#map-key")
    shared.select_option("#choose-features-method", "single")  # which has none
    assert shared.locator("#map-key li").all_text_contents() == ["●cat", "●dog", "●owl"]
    shared.select_option("#choose-features-method", "maxl")
    shared.check("[value=class]")
    assert shared.evaluate(colours) == by_class


def test_a_picture_is_enlarged_by_keyboard_and_closed_by_escape(shared: Any) -> None:
    shared.locator(".specimen").first.focus()
    shared.keyboard.press("Enter")
    assert shared.evaluate("document.getElementById('enlarged').open")
    assert shared.text_content("#enlarged-text").startswith("Test sample ")
    shared.keyboard.press("Escape")
    assert not shared.evaluate("document.getElementById('enlarged').open")
    assert shared.evaluate("document.activeElement.className") == "specimen"


def test_downloads_are_what_the_page_says(browser: Any, page_file: Path) -> None:
    found = {}
    for name in ("json", "comparison", "confusion"):
        # Each from a page of its own: Chromium may ask whether a page may download once more, and nobody answers here.
        with opened(browser, page_file) as page:
            with page.expect_download() as download:
                page.click(f"[data-download={name}]")
            found[name] = Path(download.value.path()).read_text()
    assert len(json.loads(found["json"])["comparison"]["rows"]) == 6
    assert found["comparison"].startswith("method,role,gain,n,accuracy,")
    assert found["confusion"].splitlines()[0] == "method,true_class,predicted cat,predicted dog,predicted owl"


def test_names_full_of_html_are_text(hostile: Any) -> None:
    assert hostile.title() == "toy: what to use, how good it is, where it fails"
    assert hostile.evaluate("document.querySelectorAll('img[src=x], #invented b b').length") == 0
    assert hostile.text_content(".class-name") == HOSTILE[0]
    ticks = hostile.evaluate(
        "[...document.querySelectorAll('[data-chart=classes] .ytick text')].map(each => each.textContent)"
    )
    assert HOSTILE[1] in ticks
    assert hostile.evaluate("document.querySelectorAll('.chart a, .chart tspan[style*=bold]').length") == 0
    hostile.focus("#walk")
    for _ in range(6):  # to test sample 24, of 23 classes in turn
        hostile.keyboard.press("ArrowRight")
    assert HOSTILE[1] in hostile.text_content("#inspected")


def test_names_that_mean_something_to_javascript_are_names(browser: Any, tmp_path: Path) -> None:
    names = ["constructor", "__proto__", "#ffffff", "#D55E00"]
    file = write_page(tmp_path, full_runs(tmp_path, ("single", "maxl"), 1, names), {"maxl": [0] * 60})
    places = (("confusion", "x"), ("confusion", "y"), ("confusion-difference", "x"), ("classes", "y"))
    for scheme in ("light", "dark"):
        with opened(browser, file, scheme=scheme) as page:
            draw_all(page)
            for chart, axis in places:
                marks = page.locator(f"[data-chart={chart}] .{axis}tick text").all_text_contents()
                assert sorted(marks) == sorted(names)
            cells = page.evaluate(
                "document.querySelector('[data-chart=confusion]').data[0].text.flat().filter(Boolean)"
            )
            assert page.locator("[data-chart=confusion] .heatmap-label").all_text_contents() == cells
            assert page.locator("#map-key li").all_text_contents() == [f"●{name}" for name in names]


def test_a_cell_names_its_classes_in_full(browser: Any, tmp_path: Path) -> None:
    names = [f"<b>a name</b> too long for an axis, number {number}" for number in range(3)]
    file = write_page(tmp_path, full_runs(tmp_path, ("single",), 1, names))
    with opened(browser, file) as page:
        draw_all(page)
        page.locator("[data-chart=confusion]").scroll_into_view_if_needed()
        box = page.locator("[data-chart=confusion] .nsewdrag").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 6)
        said = page.locator("[data-chart=confusion] .hovertext tspan.line").all_text_contents()
        assert said[:2] == [f"true {names[0]}", f"predicted {names[1]}"]
        assert said[2].endswith("% of the true class")


def test_numbers_of_a_matrix_stand_where_they_fit(browser: Any, tmp_path: Path) -> None:
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "a longer name"]
    file = write_page(tmp_path, full_runs(tmp_path, ("single",), 1, names))
    with opened(browser, file, 360) as page:
        draw_all(page)
        labels = page.locator("[data-chart=confusion] .heatmap-label")
        cell = page.locator("[data-chart=confusion] .nsewdrag").bounding_box()["width"] / len(names)
        assert labels.count() == 2 * len(names)
        assert max(each.bounding_box()["width"] for each in labels.all()) < cell
        page.set_viewport_size({"width": 280, "height": 700})
        labels.first.wait_for(state="detached")
        page.set_viewport_size({"width": 1280, "height": 700})
        labels.first.wait_for()


def test_long_names_make_no_page_wider(browser: Any, tmp_path: Path) -> None:
    names = ("Incorrect_information_on_your_report_or_account_history", "L" * 200, "short")
    runs = [full_run(tmp_path, name, seed, names, tested=2) for name in ("single", "maxl") for seed in range(2)]
    file = write_page(tmp_path, Recorded.of(runs), {"maxl": [0] * 60})
    for width in (360, 1200):
        with opened(browser, file, width) as page:
            page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
            draw_all(page)
            page.focus("#walk")
            page.keyboard.press("ArrowRight")
            page.locator(".specimen").nth(9).click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_single_run_opens_as_well(browser: Any, tmp_path: Path) -> None:
    recorded = Recorded.of([full_run(tmp_path, "maxl", 0)], single=True)
    with opened(browser, write_page(tmp_path, recorded), 360) as page:
        draw_all(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_only_pictures_that_are_shown_hold_up_the_page(shared: Any) -> None:
    there = "each => [...each.querySelectorAll('img')].map(image => image.complete && image.naturalWidth > 0)"
    first, second = shared.query_selector_all("details.class")[:2]
    assert set(first.evaluate(there)) == {True}
    assert set(second.evaluate(there)) == {False}
    second.query_selector("summary").click()
    second.evaluate("each => Promise.all([...each.querySelectorAll('img')].map(image => image.decode()))")
    assert set(second.evaluate(there)) == {True}
    second.query_selector("summary").click()


def test_prints_open_lists_but_no_closed_class(shared: Any) -> None:
    changed = shared.locator("#where details:not(.class)").first
    shared.emulate_media(media="print")
    shared.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert changed.get_attribute("open") is not None
    assert [each.is_visible() for each in shared.query_selector_all("details.class")[:2]] == [True, False]
    shared.evaluate("dispatchEvent(new Event('afterprint'))")
    assert changed.get_attribute("open") is None
    shared.emulate_media(media="screen")


def test_prints_every_chart_on_light_paper(browser: Any, page_file: Path) -> None:
    with opened(browser, page_file, scheme="dark") as page:
        assert page.pdf().startswith(b"%PDF")
        assert page.evaluate("document.querySelectorAll('.chart:not([data-drawn])').length") == 0
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
