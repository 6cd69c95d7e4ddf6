"""The page in a real browser: what it shows, hostile titles, the keyboard, both widths, one file."""

import base64

import pytest

from recbole_micro_server import explore, page
from recbole_micro_server.model import ExportedModel
from tests.support.browser import PROGRAM, Browser
from tests.support.exports import TITLES

needs_browser = pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")
ITEMS = "[...document.querySelectorAll({!r})].map(one => one.textContent)"
READY = "document.querySelectorAll('.items button').length && document.querySelectorAll('.legend li').length"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def texts(browser, selector: str) -> list[str]:
    return browser.value(ITEMS.format(selector))


@pytest.fixture(params=["served", "file"])
def address(request, server, folders, tmp_path):
    """The page of MICRO beside LightGCN, from the service and as one file."""
    if request.param == "served":
        return server.address
    file = tmp_path / "page.html"
    both = [str(folders["MICRO"]), f"--beside={folders['LightGCN']}"]
    assert explore.main([*both, "--users=u0,u3", f"--out={file}"]) == 0
    return file.as_uri()


@needs_browser
def test_what_a_user_had_gets_and_why(browser, address, folders):
    browser.failures.clear()
    first, second = (ExportedModel(folders[name]) for name in ("MICRO", "LightGCN"))
    browser.open(f"{address}#user=u3")
    browser.wait(READY)
    assert browser.value("document.querySelector('h1').textContent") == "MICRO beside LightGCN on tiny"
    assert texts(browser, "#lists h2") == ["User u3 had", "MICRO recommends", "LightGCN recommends"]
    names = [one.get("title", one["id"]) for one in first.history("u3")]
    assert texts(browser, ".had .name") == names
    sections = "section:nth-of-type({}) .name"
    for number, model in ((2, first), (3, second)):
        listed = [one.get("title", one["id"]) for one in model.recommend("u3", 20)]
        assert texts(browser, f"#lists {sections.format(number)}") == listed
    both = {one["id"] for one in first.recommend("u3", 20)} & {
        one["id"] for one in second.recommend("u3", 20)
    }
    assert len(texts(browser, "#lists section:nth-of-type(2) .both")) == len(both)
    browser.value("document.querySelector('#lists section:nth-of-type(2) button').click()")
    best = first.recommend("u3", 1)[0]
    browser.wait(f"document.getElementById('why-title').textContent === {'Why ' + best['title']!r}")
    assert browser.wait("document.activeElement.id") == "why-title"
    shares = texts(browser, "#reasons tbody td:last-child")
    found = first.explain("u3", best["id"], page.REASONS)
    smaller = [found["rest"]] if abs(found["rest"]) > 5e-4 else []
    assert shares == [f"{share:.3f}" for share in [*(one["share"] for one in found["neighbours"]), *smaller]]
    parts = texts(browser, "#reasons .bars:nth-of-type(1) .value")
    assert parts == [f"{value:.3f}" for value in [found["collaborative"], *found["through"].values()]]
    attention = texts(browser, "#reasons .bars:nth-of-type(2) .value")
    assert attention == [f"{value:.3f}" for value in found["modalities"].values()]
    for by in first.kinds:
        browser.value(f"by.value = {by!r}, by.dispatchEvent(new Event('change'))")
        near = [one.get("title", one["id"]) for one in first.similar(best["id"], page.NEAR, by)]
        browser.wait(f"JSON.stringify({ITEMS.format('#near .name')}) === JSON.stringify({near!r})")
    assert browser.failures == []
    browser.value("document.querySelector('#lists section:nth-of-type(3) button').click()")
    said = browser.wait("document.querySelector('#reasons').textContent.includes('LightGCN') && "
                        "document.querySelector('#reasons').textContent")  # fmt: skip
    assert "LightGCN was exported without" in said or "holds no more about it" in said


@needs_browser
def test_hostile_titles_are_shown_as_text(browser, address):
    browser.failures.clear()
    browser.open(f"{address}#user=u0&item=i0&side=0")
    browser.wait(READY)
    browser.wait("document.getElementById('why-title').textContent.includes('script')")
    assert browser.value("document.title") == "MICRO beside LightGCN on tiny"
    assert browser.value("document.getElementById('why-title').textContent") == f"Why {TITLES[0]}"
    assert browser.value("document.querySelector('#reasons .note').textContent").startswith("MICRO")
    assert browser.value("document.getElementById('map-title').textContent") == "Map of the items by MICRO"
    assert browser.value("document.querySelectorAll('img[src=x], b, main script').length") == 0
    everything = browser.value("document.body.textContent")
    assert TITLES[2] in everything
    assert browser.value("document.querySelectorAll('.items img').length") > 0  # the picture of i0
    assert browser.failures == []


@needs_browser
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_phones_and_desks_in_light_and_dark(browser, server, width, dark):
    browser.open(f"{server.address}#user=u3&item=i3", width, 800, dark)  # i3 has a title of one long word
    browser.wait(READY)
    browser.wait("document.querySelectorAll('#near button').length")
    assert browser.value("document.documentElement.scrollWidth") <= width
    far = (
        "Math.max(...[...document.querySelectorAll('main *')].map(one => one.getBoundingClientRect().right))"
    )
    assert browser.value(far) <= width + 1
    assert browser.value(BROKEN) == 0
    light = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (light == "rgb(255, 255, 255)") != dark
    assert browser.value(CONTRAST) >= 4.5


@needs_browser
def test_the_keyboard_is_enough(browser, server):
    browser.open(f"{server.address}#user=u3")
    browser.wait(READY)
    places = []
    for _ in range(6):
        browser.press("Tab")
        places.append(browser.value("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert places[:3] == ["Skip to the lists", "user", "Show"]
    chosen = browser.value("document.activeElement.dataset.item")
    assert chosen
    browser.press("Enter")
    browser.wait("document.activeElement.id === 'why-title'")
    pressed = f"document.querySelector('#lists [data-item={chosen}]').getAttribute('aria-pressed')"
    assert browser.value(pressed) == "true"
    assert browser.value(NAMELESS) == 0
    assert browser.value("document.querySelectorAll('h1').length") == 1


@needs_browser
def test_an_unknown_user_is_said(browser, server):
    browser.open(f"{server.address}#user=%3Cb%3Enobody")
    said = browser.wait("document.getElementById('status').textContent")
    assert said == "There is no such user in this model: give an id as in the data set."
    assert browser.value("document.querySelectorAll('b').length") == 0


@needs_browser
def test_the_map_is_drawn_and_chooses_items(browser, server):
    browser.open(f"{server.address}#user=u3&colour=textual")
    browser.wait(READY)
    assert browser.value("document.getElementById('colour').value") == "textual"
    picture = browser.value("document.getElementById('points').toDataURL()")
    assert len(base64.b64decode(picture.partition(",")[2])) > 2000
    browser.value("""{ const canvas = document.getElementById('points'), box = canvas.getBoundingClientRect();
        const [x, y] = place(canvas, state.map.row.get('i4'));
        canvas.dispatchEvent(new MouseEvent('click', { clientX: box.left + x, clientY: box.top + y })) }""")
    browser.wait("document.getElementById('why-title').textContent === 'Why Title 4'")
    assert browser.wait("location.hash.startsWith('#user=u3&item=i4')")


def test_a_file_has_no_address_and_no_open_element(folders):
    model = ExportedModel(folders["MICRO"])
    whole = page.self_contained([model], ["u0", "u3"])
    assert whole.count("</script>") == 2 and whole.count("<script") == 2
    assert "http://" not in whole.replace("http://www.w3.org/2000/svg", "") and "https://" not in whole
    assert "page.css" not in whole and 'src="page.js"' not in whole


# How many things that one can use or see have no name for a screen reader.
NAMELESS = """
[...document.querySelectorAll("button, input, select, canvas, [role=region]")].filter(one =>
  !(one.textContent.trim() && one.tagName === "BUTTON") && !one.labels?.length && !one.ariaLabel &&
  !one.getAttribute("aria-labelledby")).length
"""
# How many headings and numbers of the table are broken over several lines.
BROKEN = """
[...document.querySelectorAll("th, td:last-child")].filter(one => {
  const inside = document.createRange();
  inside.selectNodeContents(one);
  return inside.getClientRects().length > 1;
}).length
"""
# The least contrast of any text that is shown with what is behind it (WCAG 2.2, 1.4.3).
CONTRAST = """(() => {
  const linear = (c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map(n => linear(n / 255))
    .reduce((sum, c, n) => sum + c * [.2126, .7152, .0722][n], 0);
  const back = (one) => { const colour = getComputedStyle(one).backgroundColor;
    return colour !== 'rgba(0, 0, 0, 0)' || !one.parentElement ? colour : back(one.parentElement) };
  const words = (one) => [...one.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
  let least = 99;
  for (const one of document.querySelectorAll('body *:not(script, option, noscript)')) {
    if (!words(one) || !one.checkVisibility()) continue;
    const pair = [light(getComputedStyle(one).color), light(back(one))].sort((a, b) => b - a);
    least = Math.min(least, (pair[0] + .05) / (pair[1] + .05));
  }
  return least;
})()"""


def test_a_file_has_the_pictures_of_neighbours_up_to_a_size(folders, monkeypatch):
    model = ExportedModel(folders["MICRO"])
    name = f"images/{model.item_details('i0')['picture']}"
    monkeypatch.setattr(page, "LISTED", 1)
    monkeypatch.setattr(page, "HAD", 1)

    def shown(user):
        return {model.history(user)[0]["id"], model.recommend(user, 1)[0]["id"]}

    def near(user):
        return {one["id"] for item in shown(user) for by in model.kinds for one in model.similar(item, 6, by)}

    user = next(user for user in model.users if "i0" in near(user) - shown(user))
    assert page.answers(model, [user])[name].startswith("data:image/png;base64,")
    monkeypatch.setattr(page, "NEIGHBOURS_PICTURES", 0)
    assert name not in page.answers(model, [user])
