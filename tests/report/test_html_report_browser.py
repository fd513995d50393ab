"""The report as a browser shows it: scripts run, charts have marks, the page filters and sorts."""

import pytest
from chromium import needs_chromium, requested_urls, set_screen, start_chromium

pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = start_chromium(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def path(build, write_page, tmp_path_factory):
    results = [
        build.wandering_result(name, num_frames=num_frames, seed=seed)
        for seed, (name, num_frames) in enumerate([("b", 40), ("<i>a</i>", 30), ("c", 400)])
    ]
    return write_page(tmp_path_factory.mktemp("page"), results)


@pytest.fixture
def page(browser, path):
    """Open the report anew, on a wide light screen."""
    for log in ("browser", "performance"):
        browser.get_log(log)  # Reading empties it.
    set_screen(browser, width=1280)
    browser.get(path.as_uri())
    return browser


def find(page, selector):
    return page.find_elements("css selector", selector)


def visible(page, selector):
    return [element for element in find(page, selector) if element.is_displayed()]


def visible_sequences(page, selector):
    return {element.get_attribute("data-sequence") for element in visible(page, selector)}


def column(page, number):
    return [cell.text for cell in find(page, f"#sequences tbody tr > :nth-child({number})")]


def click(page, element):
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def test_page_runs_without_a_word_on_the_console_and_without_requests(page, path):
    click(page, find(page, ".choose")[0])
    assert page.get_log("browser") == []
    urls = requested_urls(page)
    assert {url.split(":")[0] for url in urls} <= {"file", "data"}
    assert path.as_uri() in urls


def test_charts_and_strips_have_marks_of_some_size(page):
    for selector in [".chart .line", ".chart .bar", ".chart .marker"]:
        shown = visible(page, selector)
        assert len(shown) == 2
        assert all(element.size["height"] > 5 for element in shown)
    assert len(visible(page, ".strip .mark")) == 9
    assert visible(page, ".crop image")
    sides = page.execute_script(
        "return [...document.querySelectorAll('.chart text')].filter(t => !t.closest('.off'))"
        ".map(t => { const b = t.getBoundingClientRect(), "
        "s = t.closest('svg').getBoundingClientRect(); "
        "return [b.left - s.left, s.right - b.right, b.top - s.top, s.bottom - b.bottom]; })"
    )
    assert min(min(side) for side in sides) > -1  # No text is cut off.


def test_click_on_a_sequence_shows_it_alone_and_another_click_all(page):
    row = find(page, "#sequences tbody tr")[1]
    click(page, row)
    for selector in [".timeline", ".chart .one", ".crop"]:
        assert visible_sequences(page, selector) == {"1"}
    assert find(page, "#chosen")[0].text == "only <i>a</i>"
    assert find(page, "#sequences .choose")[1].get_attribute("aria-pressed") == "true"
    assert len(visible(page, ".overall .line")) == 2
    click(page, row)
    assert visible_sequences(page, ".timeline") == {"0", "1", "2"}
    assert visible_sequences(page, ".chart .one") == {"all"}
    assert find(page, "#chosen")[0].text == "all sequences"


def test_reset_button_appears_with_a_choice_and_shows_all(page):
    assert visible(page, "#reset") == []
    click(page, find(page, ".choose")[2])
    assert visible_sequences(page, ".timeline") == {"2"}
    find(page, "#reset")[0].click()
    assert visible_sequences(page, ".timeline") == {"0", "1", "2"}
    assert visible(page, "#reset") == []


def test_sequences_can_be_chosen_by_keyboard(page):
    page.execute_script("document.querySelectorAll('.choose')[1].focus()")
    page.switch_to.active_element.send_keys("\n")
    assert visible_sequences(page, ".timeline") == {"1"}


def test_headings_sort_the_table_in_both_directions(page):
    names, frames = find(page, ".sort")[:2]
    click(page, frames)
    assert column(page, 2) == ["30", "40", "400"]
    click(page, frames)
    assert column(page, 2) == ["400", "40", "30"]
    assert find(page, "th[aria-sort=descending]")[0].text.startswith("frames")
    click(page, names)
    assert column(page, 1) == ["<i>a</i>", "b", "c"]
    click(page, find(page, "#sequences tbody tr")[0])
    assert visible_sequences(page, ".timeline") == {"1"}


@pytest.mark.parametrize("width", [390, 1280])
def test_page_is_no_wider_than_its_screen(page, width):
    set_screen(page, width=width)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width


def test_page_follows_the_colour_scheme_of_the_reader(page):
    def brightness():
        colour = page.execute_script("return getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(", ")) / 3

    assert brightness() > 200
    set_screen(page, width=1280, scheme="dark")
    assert brightness() < 60
