"""The page in a real browser, where Playwright and a Chromium are installed.

Checked at three widths, in light and dark: nothing is wider than the window, formulas have a
height, text has contrast, controls have names, nothing is requested or written to the console.
"""

import shutil
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "companion.html"
playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no browser is installed")
VIEWS = [(1440, "light"), (768, "light"), (390, "light"), (1440, "dark"), (390, "dark")]

CONTRAST = """
() => {
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
  const behind = e => { for (; e; e = e.parentElement) {
    const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > .5) return c; } return [255, 255, 255]; };
  const bad = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !e.getClientRects().length) continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) bad.add(`${e.tagName}.${e.className}: ${ratio.toFixed(2)}`);
  }
  return [...bad];
}
"""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(params=VIEWS, ids=lambda view: f"{view[0]} {view[1]}")
def view(request, browser):
    width, scheme = request.param
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=True
    )
    page = context.new_page()
    page.said, page.asked = [], []
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(PAGE.as_uri())
    yield page
    context.close()


def test_it_fits_the_window_and_asks_for_nothing(view):
    wide = view.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    assert view.said == []
    assert [url for url in view.asked if not url.startswith(("data:", PAGE.as_uri()))] == []


def test_unfolded_it_still_fits(view):
    view.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    wide = view.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0
    outside = view.evaluate("""() => [...document.querySelectorAll('pre, p, li, summary')]
        .filter(e => e.getBoundingClientRect().right > window.innerWidth + 1)
        .map(e => e.textContent.slice(0, 60))""")
    assert outside == []


def test_formulas_have_a_height_and_fractions_a_bar(view):
    flat = view.evaluate("""() => [...document.querySelectorAll('math')]
        .filter(m => m.checkVisibility() && m.textContent.trim()
            && m.getBoundingClientRect().height < 4)
        .map(m => m.outerHTML)""")
    assert flat == []
    tall = view.evaluate("""() => document.querySelector('#E14 .main mfrac')
        .getBoundingClientRect().height""")
    assert tall > 35
    assert view.evaluate("document.fonts.check(`16px 'page math'`)")


def test_text_has_contrast_and_controls_have_names(view):
    assert view.evaluate(CONTRAST) == []
    nameless = view.evaluate("""() => [...document.querySelectorAll('a, summary, input')]
        .filter(e => !(e.textContent.trim() || e.labels?.[0]?.textContent.trim()))
        .map(e => e.outerHTML.slice(0, 80))""")
    assert nameless == []
    assert view.evaluate("[...document.images].every(i => i.alt && i.naturalWidth > 0)")
    levels = view.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
    assert levels[0] == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:]))


def test_the_switch_shows_one_language_or_both(view):
    shown = "kind => [...document.querySelectorAll(`#E6 .${kind}`)].some(e => e.checkVisibility())"
    expected = {"en": (True, False), "zh": (False, True), "both": (True, True)}
    for choice, (english, chinese) in expected.items():
        view.locator(f"label[for=lang-{choice}]").click()
        assert view.evaluate(shown, "en") == english and view.evaluate(shown, "zh") == chinese


def test_t_moves_the_numbers_and_the_picture_by_keyboard_too(view):
    read = "() => [...document.querySelectorAll('[data-v], svg .c-mean')]"
    read += ".map(e => e.getAttribute('points') || e.textContent).join()"
    before = view.evaluate(read)
    view.locator("#t").focus()
    view.keyboard.press("ArrowRight")
    assert view.locator("#t-shown").inner_text() == "51" and view.evaluate(read) != before
    view.keyboard.press("ArrowLeft")
    assert view.evaluate(read) == before
    view.locator("label[for=schedule-cosine]").click()
    assert view.evaluate(read) != before


def test_a_symbol_lights_up_around_it_and_says_what_it_is(view):
    symbol = view.locator("#E10 .theory .main .s-alpha-bar-t-1").first
    symbol.click()
    lit = view.evaluate(
        "() => [...document.querySelectorAll('.lit')].map(e => e.className"
        " && (e.getAttribute('class')))"
    )
    assert len(lit) > 3 and all("s-alpha-bar-t-1" in name for name in lit)
    assert view.evaluate(
        "() => [...document.querySelectorAll('.lit')].every(e => e.closest('#E10'))"
    )
    assert "product of the alphas" in view.locator("#tip").inner_text()
    view.keyboard.press("Escape")
    assert view.locator("#tip").is_hidden()


def test_it_prints_in_nine_points_at_least(browser):
    page = browser.new_page(viewport={"width": 700, "height": 1000})
    page.goto(PAGE.as_uri())
    page.emulate_media(media="print")
    small = page.evaluate("""() => {
        const found = new Set(), walker = document.createTreeWalker(document.body, 4);
        while (walker.nextNode()) {
            const e = walker.currentNode.parentElement;
            if (!walker.currentNode.data.trim() || !e.checkVisibility()) continue;
            if (e.closest('math, svg, sub, sup, .hidden, script, style')) continue;
            if (parseFloat(getComputedStyle(e).fontSize) < 11.99)
                found.add(`${e.tagName}.${e.className} ${getComputedStyle(e).fontSize}`);
        } return [...found]; }""")
    assert small == []
    assert page.locator(".gone").first.is_visible() and page.locator(".picture").first.is_visible()
    page.close()
