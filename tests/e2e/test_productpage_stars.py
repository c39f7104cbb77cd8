"""What a reader sees: no stars from reviews v1, black ones from v2, red ones from v3, in a real Chromium.

The versions are told apart by the colour the browser computed, not by class names: a style sheet that got lost, or that
the page's own security policy kept out, fails here and nowhere else.
"""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from tests.rollout.demo.stage import bookinfo

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PICTURES = Path(__file__).parents[2] / "build" / "productpage"
BLACK = "rgb(20, 22, 26)"
RED = "rgb(200, 16, 46)"
COLORS = "stars => stars.map(each => getComputedStyle(each).color)"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: apt-get install chromium"),
]


@asynccontextmanager
async def browser_page(*, width: int = 1200) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, chromium_sandbox=os.geteuid() != 0)
        page = await browser.new_page(viewport={"width": width, "height": 800})
        page.set_default_timeout(10_000)
        try:
            yield page
        finally:
            await browser.close()


async def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


@pytest.mark.asyncio
async def test_no_stars_then_black_ones_then_red_ones_by_day_and_by_night() -> None:
    async with bookinfo("--all") as stage, browser_page() as page:
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("requestfailed", lambda request: wrong.append(request.url))
        stars, seen = page.locator(".stars"), []
        for version in ("v1", "v2", "v3"):  # without a mesh the versions take turns
            await page.emulate_media(color_scheme="light")
            await page.goto(stage.urls["productpage-v1"] + "/productpage?u=normal")
            await picture(page, version)
            pod = await page.locator(".served code").inner_text()
            by_day = await stars.evaluate_all(COLORS)
            await page.emulate_media(color_scheme="dark")
            await picture(page, f"{version}-dark")
            seen.append((pod[: len("reviews-v1")], by_day, await stars.evaluate_all(COLORS)))
    assert seen == [
        ("reviews-v1", [], []),
        ("reviews-v2", [BLACK] * 2, [BLACK] * 2),
        ("reviews-v3", [RED] * 2, [RED] * 2),
    ]
    assert wrong == []


@pytest.mark.asyncio
async def test_jason_signs_in_and_out_by_keyboard_and_mouse() -> None:
    async with bookinfo("--all") as stage, browser_page() as page:
        await page.goto(stage.urls["productpage-v1"] + "/productpage?u=normal")
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_label("User name").fill("jason")
        await picture(page, "sign-in")
        await page.keyboard.press("Enter")
        await page.locator(".user").wait_for()
        assert await page.locator(".user").inner_text() == "jason"

        await page.get_by_role("link", name="Sign out").click()
        await page.get_by_role("button", name="Sign in").wait_for()
        assert await page.locator(".user").count() == 0


@pytest.mark.asyncio
async def test_a_narrow_page_without_ratings_and_details_is_still_a_page() -> None:
    async with bookinfo("--all") as stage, browser_page(width=380) as page:
        for name in ("ratings-v1", "details-v1"):
            stage.play("errors-100", workload=name)
        url = stage.urls["productpage-v1"] + "/productpage?u=normal"
        await page.goto(url)
        await page.goto(url)
        await picture(page, "narrow-unavailable")
        assert await page.get_by_text("Ratings service is currently unavailable").count() == 2
        assert await page.get_by_role("alert").inner_text() != ""
        assert await page.evaluate("document.documentElement.scrollWidth") <= 380
