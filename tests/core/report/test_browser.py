"""The page in a browser: it opens from disk, asks for nothing, and says what the kit says."""

import json
import shlex
from itertools import pairwise

import numpy as np
import pytest
from click.testing import CliRunner
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from prune_kit.classes import class_counts
from prune_kit.data import Examples
from prune_kit.report import subset
from prune_kit.select import keep_easiest, keep_hardest, keep_window
from prune_kit.table import ScoreTable
from prune_kit_cli.main import cli

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><img src=x onerror='window.hacked = 2'>",
    "\"quoted\" 'and' `more` ${window.hacked = 3} {{ 7 * 7 }}",
    "\u202eright to left\u202c \u2066isolated",
    "x" * 5000,
    "<b>&amp;</b>",
)


def digits_like(n, ids=None):
    images = np.random.default_rng(0).integers(0, 256, (n, 8, 8, 1), dtype=np.uint8)
    return Examples(images, np.zeros(n, np.int64), np.arange(n) if ids is None else ids, None, "noise")


def set_sliders(browser, *, method="hardest", keep=0.5, offset=0.0, per_class=False):
    """Move the controls as a hand would, and let the page know."""
    browser.execute_script(
        """
        const [method, keep, offset, perClass] = arguments;
        document.querySelector(`input[value=${method}]`).checked = true;
        document.getElementById("per-class").checked = perClass;
        document.getElementById("keep").value = keep;
        document.getElementById("controls").dispatchEvent(new Event("input"));
        document.getElementById("offset").value = offset;
        document.getElementById("controls").dispatchEvent(new Event("input"));
        """,
        method,
        keep,
        offset,
        per_class,
    )


def shown_counts(browser):
    cells = "return [...document.querySelectorAll('#classes tbody tr')].map((r) => r.cells[2].textContent)"
    return [int(text.replace(",", "")) for text in browser.execute_script(cells)]


def test_it_opens_from_disk_without_an_error_or_a_request(look_at, run):
    browser = look_at(run, data=digits_like(60, np.arange(60) + 100))
    assert browser.get_log("browser") == []
    sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        each["params"]["request"]["url"] for each in sent if each["method"] == "Network.requestWillBeSent"
    ]
    assert any(url.startswith("file:///") for url in asked)
    assert [url for url in asked if not url.startswith(("file:///", "data:"))] == []


def test_its_policy_lets_it_reach_nothing(look_at, scores):
    browser = look_at(scores)
    tried = browser.execute_async_script(
        """
        const done = arguments[0];
        const image = new Image();
        const refused = [];
        document.addEventListener("securitypolicyviolation", (event) => {
          refused.push(event.effectiveDirective);
          if (refused.length === 2) done(refused.sort());
        });
        fetch("https://example.org/").catch(() => {});
        image.src = "https://example.org/x.png";
        """
    )
    assert tried == ["connect-src", "img-src"]


CHOICES = [
    {"method": "hardest", "keep": keep, "per_class": per_class}
    for keep in (0.0, 0.03, 0.1, 0.3, 0.5, 0.7, 1.0)
    for per_class in (False, True)
] + [
    {"method": "window", "keep": keep, "offset": offset, "per_class": per_class}
    for keep, offset in ((0.5, 0.0), (0.5, 0.1), (0.3, 0.7), (0.1, 0.9), (0.7, 0.3), (0.02, 0.98))
    for per_class in (False, True)
]


def kept_by_the_kit(table, *, method, keep, offset=0.0, per_class=False):
    labels = table.labels if per_class else None
    choose = {"hardest": keep_hardest, "easiest": keep_easiest}.get(method)
    if choose is None:
        return keep_window(table["score"], offset=offset, fraction=keep, labels=labels)
    return choose(table["score"], fraction=keep, labels=labels)


@pytest.mark.parametrize("most_ordered", [subset.MOST_ORDERED, 10], ids=["every example", "counts at steps"])
def test_the_sliders_count_what_the_kit_keeps(look_at, scores, monkeypatch, most_ordered):
    # 0.1, 0.3, 0.5, 0.7 and 0.9 of 85 examples end in a half, which Python rounds to the even neighbour.
    monkeypatch.setattr(subset, "MOST_ORDERED", most_ordered)
    browser = look_at(scores)
    table = ScoreTable.read(scores)
    for choice in [*CHOICES, {"method": "easiest", "keep": 0.3}, {"method": "easiest", "keep": 0.5}]:
        set_sliders(browser, **choice)
        kept = kept_by_the_kit(table, **choice)
        assert shown_counts(browser) == [each.kept for each in class_counts(table.labels, kept)], choice
        assert browser.find_element(By.ID, "sum").text == f"{len(kept)} of 85 examples stay."


@pytest.mark.parametrize(
    "choice",
    [
        {"keep": 0.305},
        {"method": "window", "keep": 0.5, "offset": 0.125},
        {"method": "window", "keep": 1.0},
        {"method": "easiest", "keep": 0.25, "per_class": True},
        {"method": "window", "keep": 0.3, "offset": 0.4, "per_class": True},
    ],
)
def test_the_command_line_makes_what_is_shown(look_at, run, tmp_path, monkeypatch, choice):
    browser = look_at(run)
    set_sliders(browser, **choice)
    monkeypatch.chdir(tmp_path)
    lines = browser.find_element(By.ID, "command").text.splitlines()
    assert [line.split()[1] for line in lines] == ["aggregate", "prune"]
    for line in lines:
        name, *words = shlex.split(line)
        assert name == "prunekit"
        made = CliRunner().invoke(cli, [*words, "--json"])
        assert made.exit_code == 0, made.output
    assert shown_counts(browser) == [each["kept"] for each in json.loads(made.stdout)["classes"]]


def test_fine_steps_count_what_the_kit_keeps(look_at, scores):
    browser = look_at(scores)
    table = ScoreTable.read(scores)
    for keep in np.round(np.arange(0.001, 1, 0.037), 3).tolist():
        set_sliders(browser, keep=keep)
        kept = keep_hardest(table["score"], fraction=keep)
        assert shown_counts(browser) == [each.kept for each in class_counts(table.labels, kept)], keep


def test_the_threshold_gallery_moves_with_the_sliders(look_at, scores):
    browser = look_at(scores)
    table = ScoreTable.read(scores)

    def around():
        """Ids left and right of the threshold, by what the cards say."""
        cards = browser.find_elements(By.CSS_SELECTOR, "[data-gallery=threshold] .card")
        ids = [card.find_element(By.CLASS_NAME, "look").text.removeprefix("id ") for card in cards]
        out = [card.find_element(By.CLASS_NAME, "how").text == "left out" for card in cards]
        return list(zip(map(int, ids), out, strict=True))

    order = np.argsort(table["score"], kind="stable")
    for keep in (0.5, 0.2):
        set_sliders(browser, keep=keep)
        size = round(keep * 85)
        expected = order[85 - size - 5 : 85 - size + 5].tolist()
        assert around() == [(id_, place < 5) for place, id_ in enumerate(expected)]
    set_sliders(browser, keep=1.0)
    assert around() == []


def test_a_click_opens_the_details_and_escape_closes_them(look_at, scores):
    browser = look_at(scores, data=digits_like(85))
    table = ScoreTable.read(scores)
    hardest = int(np.argsort(table["score"], kind="stable")[-2])  # the very hardest is infinite
    card = browser.find_elements(By.CSS_SELECTOR, "[data-gallery=hardest] .card")[1]
    dialog = browser.find_element(By.ID, "details")
    assert not dialog.is_displayed()
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", card)
    card.click()
    assert dialog.is_displayed()
    said = dialog.text
    assert f"Example {hardest}" in said
    assert f"{table['score'][hardest]:.4g} ± 0.062" in said
    assert "Rank (1 is the hardest)\n2 of 85" in said
    names = ("cat", "dog", "owl")
    assert f"Label\n{names[table.labels[hardest]]}" in said
    assert f"Predicted\n{names[table['predicted'][hardest]]}" in said
    assert dialog.find_element(By.TAG_NAME, "img").get_attribute("src").startswith("data:image/webp;base64,")
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not dialog.is_displayed()
    # The keyboard goes on from the card that it came from, and opens it again.
    assert browser.switch_to.active_element == card
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert dialog.is_displayed()


def test_arrow_keys_move_the_slider(look_at, scores):
    browser = look_at(scores)
    keep = browser.find_element(By.ID, "keep")
    keep.send_keys(Keys.HOME)
    assert shown_counts(browser) == [0, 0, 0]
    keep.send_keys(Keys.END)
    assert sum(shown_counts(browser)) == 85


def test_hostile_names_ids_and_texts_stay_text(look_at, make_scores, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    ids = [f"{i} {HOSTILE[i % len(HOSTILE)]}" for i in range(60)]
    path = make_scores(tmp_path / "<img src=x>.parquet", n=60, class_names=HOSTILE, ids=ids, run=HOSTILE[0])
    texts = [HOSTILE[i % len(HOSTILE)] for i in range(60)]
    pq.write_table(pa.table({"id": ids, "text": texts}), tmp_path / "texts.parquet")
    flags = ScoreTable.read(path)
    columns = {
        "flagged": flags["score"] > 0.5,
        "probability": flags["score"],
        "suggested": flags["predicted"],
    }
    ScoreTable(flags.ids, flags.labels, columns).to_parquet(tmp_path / "flags.parquet")
    browser = look_at(path, data=tmp_path / "texts.parquet", flags=tmp_path / "flags.parquet", width=390)
    assert browser.execute_script("return window.hacked") is None
    assert browser.get_log("browser") == []
    headings = "return [...document.querySelectorAll('#classes tbody th')].map((th) => th.textContent)"
    present = np.unique(flags.labels)
    assert browser.execute_script(headings) == [HOSTILE[label] for label in present]
    shown = (
        "return [...document.querySelectorAll('[data-gallery] .look.text')].map((each) => each.textContent)"
    )
    looks = set(browser.execute_script(shown))
    assert {each for each in HOSTILE if len(each) < 2000} <= looks
    assert "x" * 2000 + "… (5,000 characters)" in looks
    for card in browser.find_elements(By.CSS_SELECTOR, "[data-gallery=hardest] .card")[:6]:
        browser.execute_script("arguments[0].click()", card)
        browser.execute_script("document.getElementById('details').close()")
    browser.execute_script("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert browser.execute_script("return window.hacked") is None
    # The longest name does not push the page out of the screen.
    assert browser.execute_script("return document.documentElement.scrollWidth") == 390
    assert browser.execute_script("return document.images.length") == 0


def test_every_chart_is_drawn_and_told_in_words_and_numbers(look_at, run):
    browser = look_at(run)
    charts = browser.find_elements(By.CSS_SELECTOR, "figure")
    names = {chart.find_element(By.CLASS_NAME, "plot").get_attribute("data-chart") for chart in charts}
    wanted = {"histogram", "classes", "epochs", "class-epochs"}
    assert {f"{kind}-{score}" for kind in wanted for score in ("el2n", "grand")} <= names
    assert {"reliability", "agreement", "relation-grand", "relation-forgetting"} <= names
    for chart in charts:
        plot = chart.find_element(By.CLASS_NAME, "plot")
        assert plot.get_attribute("role") == "img"
        assert len(plot.get_attribute("aria-label")) > 20
        assert plot.find_elements(By.CSS_SELECTOR, "svg .role-mark path"), plot.get_attribute("id")
        assert len(chart.find_elements(By.CSS_SELECTOR, "details tbody tr")) > 0


def test_headings_landmarks_and_controls_are_named(look_at, run):
    browser = look_at(run, data=digits_like(60, np.arange(60) + 100))
    levels = browser.execute_script(
        "return [...document.querySelectorAll('h1, h2, h3, h4')].filter((h) => !h.closest('dialog'))"
        ".map((h) => Number(h.tagName[1]))"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    for landmark in ("header", "nav", "main", "footer"):
        assert len(browser.find_elements(By.TAG_NAME, landmark)) == 1
    for control in browser.find_elements(By.CSS_SELECTOR, "input, select, button, [tabindex='0'], section"):
        assert control.accessible_name or not control.is_displayed(), control.get_attribute("outerHTML")[:200]
    assert all(image.get_attribute("alt") for image in browser.find_elements(By.TAG_NAME, "img"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(look_at, run, scheme):
    browser = look_at(run, scheme=scheme)
    colours = browser.execute_script(
        """
        const style = getComputedStyle(document.documentElement);
        const series = [1, 2, 3, 4, 5].map((i) => `series-${i}`);
        const inks = ["ink", "ink-2", "accent", "warn", ...series];
        const names = ["paper", "raised", ...inks];
        return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
        """
    )
    for ground in ("paper", "raised"):
        for ink in ("ink", "ink-2", "accent", "warn"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (scheme, ink, ground)
        for i in range(1, 6):
            assert contrast(colours[f"series-{i}"], colours[ground]) >= 3, (scheme, i, ground)
    # The charts follow the scheme too.
    fill = "return getComputedStyle(document.querySelector('.plot .role-axis-label text')).fill"
    assert browser.execute_script(fill) == css_rgb(colours["ink-2"])


def css_rgb(colour):
    return "rgb({}, {}, {})".format(*bytes.fromhex(colour[1:]))


def contrast(one, other):
    """Of two colours #rrggbb, as WCAG 2 defines it."""

    def luminance(colour):
        parts = [
            value / 255 for value in bytes.fromhex((colour[1:] * 2)[:6] if len(colour) == 4 else colour[1:])
        ]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_it_fits_a_phone(look_at, run):
    browser = look_at(run, data=digits_like(60, np.arange(60) + 100), width=390)
    assert browser.execute_script("return document.documentElement.scrollWidth") == 390


def test_what_is_missing_or_cannot_be_read_says_so(look_at, make_scores, tmp_path):
    from PIL import Image

    for label in ("cat", "dog", "owl"):
        (tmp_path / "images" / label).mkdir(parents=True)
    ids = [f"{('cat', 'dog', 'owl')[i % 3]}/{i}.png" for i in range(9)]
    for i, name in enumerate(ids[:-1]):
        Image.new("RGB", (200, 100), (20 * i, 0, 0)).save(tmp_path / "images" / name)
    (tmp_path / "images" / ids[3]).write_bytes(b"no image")
    path = make_scores(tmp_path / "scores.parquet", n=9, ids=ids)
    browser = look_at(path, data=tmp_path / "images")
    said = browser.find_element(By.CSS_SELECTOR, "#examples .quiet").text
    assert "1 is missing from the data." in said
    assert "1 cannot be read." in said
    cards = browser.find_elements(By.CSS_SELECTOR, "[data-gallery=easiest] .look.none")
    assert sorted(card.text for card in cards) == ["missing", "unreadable"]
    assert len(browser.find_elements(By.CSS_SELECTOR, "[data-gallery=easiest] img")) == 7


def test_rows_and_series_are_shown_as_such(look_at, scores, tmp_path):
    rng = np.random.default_rng(0)
    for name, inputs, selector in (
        ("row", rng.random((85, 5)).astype(np.float32), ".look.row dd"),
        ("line", rng.random((85, 100)).astype(np.float32), ".look.lines polyline"),
        ("lines", rng.random((85, 50, 2)).astype(np.float32), ".look.lines polyline"),
    ):
        np.savez(tmp_path / f"{name}.npz", x=inputs, y=np.zeros(85, np.int64))
        browser = look_at(scores, data=tmp_path / f"{name}.npz")
        card = browser.find_element(By.CSS_SELECTOR, "[data-gallery=hardest] .card")
        assert len(card.find_elements(By.CSS_SELECTOR, selector)) == {"row": 4, "line": 1, "lines": 2}[name]
        assert browser.get_log("browser") == []
        browser.execute_script("arguments[0].click()", card)
        large = browser.find_elements(By.CSS_SELECTOR, f"#details-look {selector}")
        assert len(large) == {"row": 5, "line": 1, "lines": 2}[name]


def test_flagged_examples_show_what_they_should_be(look_at, scores, tmp_path):
    table = ScoreTable.read(scores)
    flagged = np.zeros(85, bool)
    flagged[[7, 30, 41]] = True
    probability = np.linspace(0, 0.5, 85)
    suggested = (table.labels + 1) % 3
    columns = {"flagged": flagged, "probability": probability, "suggested": suggested}
    ScoreTable(table.ids, table.labels, columns, {"wrong": 4.2}).to_parquet(tmp_path / "flags.parquet")
    browser = look_at(scores, flags=tmp_path / "flags.parquet")
    names = ("cat", "dog", "owl")
    cards = browser.find_elements(By.CSS_SELECTOR, "[data-gallery=flagged] .card")
    assert [card.text.splitlines() for card in cards] == [
        [f"id {i}", names[table.labels[i]], f"→ {names[suggested[i]]}", f"wrong: {probability[i]:.3f}"]
        for i in (41, 30, 7)
    ]
    said = browser.find_element(By.CSS_SELECTOR, "#suspects p").text
    assert said.startswith("3 of 85 labels are flagged; about 4 are estimated to be wrong.")


@pytest.mark.parametrize("scores", [[0.5], [np.inf, np.inf], [1.0, 1.0, 1.0]])
def test_hardly_anything_to_show_is_shown_without_an_error(look_at, tmp_path, scores):
    table = ScoreTable(np.arange(len(scores)), np.zeros(len(scores), np.int64), {"score": np.array(scores)})
    browser = look_at(table.to_parquet(tmp_path / "few.parquet"))
    assert browser.get_log("browser") == []
    assert shown_counts(browser) == [round(len(scores) / 2)]
    assert len(browser.find_elements(By.CSS_SELECTOR, "[data-gallery=hardest] .card")) == len(scores)
