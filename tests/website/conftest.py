"""The site, built once in three ways while the browser already looks at the first of them."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from website import browser, builds, pages


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--screenshots",
        metavar="DIR",
        type=lambda folder: Path(folder).resolve(),
        help="write a picture of every page, wide and narrow, light and dark, into this folder",
    )


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """The folder of a build by its name, once it is done without a warning."""
    folder = tmp_path_factory.mktemp("site")

    def elsewhere() -> str:
        docs = builds.copy(folder / "a copy")
        return builds.build(docs, folder / "again", seed=1, processes=2)

    def started(pool: ThreadPoolExecutor) -> dict[str, Future[str]]:
        docs = builds.ROOT / "docs"
        return {
            "once": pool.submit(builds.build, docs, folder / "once"),
            "again": pool.submit(elsewhere),
            "alone": pool.submit(builds.build, docs, folder / "alone", without=builds.optional()),
        }

    with ThreadPoolExecutor(2) as pool:
        running = started(pool)

        def finished(name: str) -> Path:
            complaint = running[name].result()
            assert not complaint, complaint
            return folder / name / "html"

        yield finished


@pytest.fixture(scope="session")
def site(built: Callable[[str], Path]) -> pages.Site:
    return pages.read(built("once"))


@pytest.fixture(scope="session")
def needs_chromium() -> None:
    if browser.chromium() is None:
        pytest.skip(f"no browser here: none of {', '.join(browser.NAMES)} was found")


@pytest.fixture(scope="session")
def visits(
    needs_chromium: None, site: pages.Site, pytestconfig: pytest.Config
) -> list[browser.Visit]:
    pictures = pytestconfig.getoption("--screenshots")
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
    return browser.visit_all(site.folder, browser.worth_a_visit(site.folder, site.pages), pictures)
