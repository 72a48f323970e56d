"""Scores, runs and data to report about, and a browser to look at the page."""

import os
import shutil
import time

import numpy as np
import pytest

from prune_kit.report import write_report
from prune_kit.store import Run
from prune_kit.table import ScoreTable


def make_scores(path, *, n=85, class_names=("cat", "dog", "owl"), ids=None, **provenance):
    """A file of scores, with ties and a score that is infinite."""
    rng = np.random.default_rng(3)
    labels = rng.choice(len(class_names), n, p=rng.dirichlet(np.full(len(class_names), 3.0)))
    score = np.round(rng.gamma(1.5, 0.3, n), 1)
    score[rng.integers(n)] = np.inf
    columns = {
        "score": score,
        "standard_error": np.full(n, 0.0625),
        "seeds": np.full(n, 3, np.int32),
        "predicted": rng.integers(0, len(class_names), n),
        "p_label": rng.random(n),
    }
    made = {"score": "el2n", "epoch": 4, "seeds": [0, 1, 2], "config": {"class_names": list(class_names)}}
    made |= {"agreement": 0.5, "reliability": 0.75, "half_overlap": 0.7} | provenance
    table = ScoreTable(np.arange(n) if ids is None else ids, labels, columns, made)
    table.to_parquet(path)
    return path


@pytest.fixture(name="make_scores")
def make_scores_fixture():
    return make_scores


@pytest.fixture
def scores(tmp_path):
    return make_scores(tmp_path / "scores.parquet")


@pytest.fixture
def run(tmp_path):
    """A run of 3 seeds and 4 epochs, 60 examples in 3 classes; seed 2 has its rows in another order."""
    config = {"scores": ["el2n", "grand"], "class_names": ["cat", "dog", "owl"], "framework": "torch"}
    rng = np.random.default_rng(1)
    labels = np.arange(60) % 3
    hardness = rng.random(60)
    with Run.start(
        tmp_path / "run", config=config, seeds=range(3), epochs=range(4), made_with={"python": "3"}
    ) as made:
        for seed in range(3):
            for epoch in range(4):
                el2n = (hardness + 0.1 * rng.random(60)) * (1 - 0.2 * epoch)
                columns = {
                    "predicted": np.where(rng.random(60) < el2n, (labels + 1) % 3, labels),
                    "p_label": 1 - el2n,
                    "el2n": el2n,
                    "grand": 5 * el2n + rng.random(60),
                }
                table = ScoreTable(np.arange(60) + 100, labels, columns)
                made.write_part(seed, epoch, table.take(rng.permutation(60)) if seed == 2 else table)
    return tmp_path / "run"


@pytest.fixture(scope="session")
def chromium():
    """One headless browser; where it has to be there, its lack is a failure."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        missing = "reports are looked at with Debian's chromium and chromium-driver, which are not installed"
        if os.environ.get("PRUNE_KIT_NEEDS_BROWSER") or os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "no-first-run",
        "disable-background-networking",
        "disable-dev-shm-usage",
        "window-size=1280,900",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture
def look_at(chromium, tmp_path):
    """Write a report, open it from disk, and wait until its charts are drawn."""

    def look(scores, /, *, width=1280, scheme="light", **options):
        summary = write_report(scores, tmp_path / "report.html", **options)
        chromium.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        chromium.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        for kind in ("browser", "performance"):
            chromium.get_log(kind)  # what is from pages before
        chromium.get(summary.path.absolute().as_uri())
        until(lambda: chromium.execute_script("return document.documentElement.dataset.drawn") == "yes")
        return chromium

    return look


def until(is_so, seconds=30):
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)
