"""The replay page as people use it: chapters, search, sharing a passage, inside another site's page, by keyboard."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import BrowserContext, Page, async_playwright, expect

from benchmarks.harness.browsers import CHROMIUM, CHROMIUM_FLAGS, firefox
from tests.e2e.person import Person
from tests.e2e.recorded import BLUE, DOUBTED, GREEN, RED, Recorded, serve
from tests.e2e.test_live import look
from tests.e2e.tiles import DRIFT, SHOWN

pytestmark = pytest.mark.asyncio(loop_scope="module")

COLOUR = """(known) => {
  const video = document.querySelector('video'), canvas = document.createElement('canvas');
  canvas.width = 16; canvas.height = 9;
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0, 16, 9);
  const seen = [...context.getImageData(2, 1, 1, 1).data].slice(0, 3);
  const found = known.filter((one) => one.every((part, at) => Math.abs(part - seen[at]) < 70));
  return video.readyState >= 2 && !video.seeking && found.length === 1 ? found[0] : null;
}"""
STILL = "() => { const v = document.querySelector('video'); return v.readyState >= 2 && !v.seeking; }"
TIME = "() => document.querySelector('video').currentTime"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recorded(folder: Path) -> AsyncIterator[Recorded]:
    async with serve(folder, killed="crashed") as one:
        yield one


@contextlib.asynccontextmanager
async def browser(recorded: Recorded) -> AsyncIterator[tuple[Page, BrowserContext]]:
    """A page of the owner, and a stranger's context."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_FLAGS))
        try:
            owner = await started.new_context(locale="en-US", viewport={"width": 1280, "height": 800})
            await owner.add_cookies([{"name": "consilium_session", "value": recorded.session, "url": recorded.url}])
            await owner.add_init_script("localStorage.setItem('consilium.member', '1')")
            yield await owner.new_page(), await started.new_context(locale="en-US")
        finally:
            await started.close()


async def shows(page: Page, wanted: tuple[int, int, int]) -> None:
    """Waits until the picture has this one of red, green and blue: a frame may still be the one before a seek."""
    await page.wait_for_function(
        f"([known, wanted]) => String(({COLOUR})(known)) === String(wanted)",
        arg=[[RED, GREEN, BLUE], wanted],
        timeout=30_000,
    )


async def test_chapters_search_and_languages_lead_through_a_recording(recorded: Recorded) -> None:
    async with browser(recorded) as (page, _):
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(f"{recorded.url}/")
        await page.get_by_test_id("library-search").fill("CINCO comprimidos 36")
        await page.get_by_test_id("library-find").click()
        await page.get_by_test_id("library-hit").first.click()
        await page.get_by_test_id("replay-video").wait_for()
        await expect(page.get_by_test_id("replay-time")).to_have_text("0:35 / 1:15")
        await shows(page, BLUE)
        await page.get_by_test_id("tab-chapters").click()
        titles = await page.get_by_test_id("chapter").all_inner_texts()
        assert [title.split("\n")[0] for title in titles] == [
            "Ann speaks",
            "Ann asks: Which dose for a child?",
            "Bob speaks",
            "Eve asks: Before food?",
            "Bob shares a screen",
        ]
        await page.get_by_test_id("chapter").nth(4).click()
        await expect(page.get_by_test_id("replay-time")).to_have_text("0:50 / 1:15")
        await shows(page, GREEN)
        for _ in range(3):
            await page.locator("body").press("p")
        await expect(page.get_by_test_id("replay-time")).to_have_text("0:20 / 1:15")
        await shows(page, RED)
        assert (await Axe().run(page)).response["violations"] == []
        await page.get_by_test_id("tab-questions").click()
        await page.get_by_test_id("question-line").click()
        await expect(page.get_by_test_id("replay-time")).to_have_text("0:40 / 1:15")
        shown = " ".join((await page.get_by_test_id("replay-questions").inner_text()).split())
        assert shown == "Eve 3 votes 0:40 Before food? Bob Yes, <b>before</b>."
        # What was written is there in the languages that were made, with its doubts, for everybody.
        await page.get_by_test_id("read-in").select_option("pt")
        board = page.get_by_test_id("replay-questions")
        await expect(board.get_by_test_id("rendered")).to_have_text("Antes da comida?")
        await expect(board.get_by_test_id("written")).to_have_text("Before food?")
        await expect(board.get_by_test_id("caption-check")).to_be_visible()
        assert (await Axe().run(page)).response["violations"] == []
        await page.get_by_test_id("read-in").select_option("")
        await expect(board.get_by_test_id("rendered")).to_have_count(0)
        await page.get_by_test_id("tab-words").click()
        await page.get_by_test_id("transcript-search").fill("comprimidos")
        await expect(page.get_by_test_id("transcript-hits")).to_have_text("1 of 14")
        await page.get_by_test_id("transcript-search").press("Escape")
        await page.get_by_test_id("caption-language").click()
        await page.get_by_test_id("caption-pt").click()
        await page.get_by_test_id("transcript-line").nth(4).click()
        await expect(page.get_by_test_id("replay-captions")).to_contain_text("Frase 21")
        # Interpreters are heard instead of the original, after a reload too.
        async with page.expect_request(lambda one: "mix-es.mp4" in one.url):
            await page.get_by_test_id("replay-sound").click()
            await page.get_by_test_id("sound-es").click()
        await expect(page.get_by_test_id("replay-sound")).to_contain_text("Spanish")
        async with page.expect_request(lambda one: "mix-es.mp4" in one.url):
            await page.reload()
        await expect(page.get_by_test_id("replay-sound")).to_contain_text("Spanish")
        await look(page, "replay-sound")
        assert errors == []


async def test_doubts_are_marked_beside_the_picture_and_in_the_transcript(recorded: Recorded) -> None:
    async with browser(recorded) as (page, _):
        await page.goto(f"{recorded.url}/replay/{recorded.id}?t={DOUBTED + 1}")
        line = page.get_by_test_id("transcript-line").nth(DOUBTED // 5)
        await line.click()
        captions = page.get_by_test_id("replay-captions")
        await expect(line.locator(".doubtful")).to_have_text("five")
        await expect(line.get_by_test_id("transcript-heard")).to_have_text("Heard as: Sentence: take find tablets.")
        await expect(captions.locator(".doubtful")).to_have_text("five")
        await page.get_by_test_id("caption-language").click()
        await page.get_by_test_id("caption-pt").click()
        await page.keyboard.press("Escape")
        await page.get_by_test_id("transcript-language").select_option("pt")
        await expect(captions).to_contain_text(f"Sentence {DOUBTED}: take five tablets.")
        await expect(captions.get_by_test_id("caption-check")).to_contain_text("a dose")
        await expect(line).to_contain_text("This translation may be wrong (a dose)")
        await expect(line.get_by_test_id("transcript-original")).to_have_text(f"Sentence {DOUBTED}: take five tablets.")
        assert (await Axe().run(page)).response["violations"] == []


async def test_a_passage_is_shared_with_a_password_and_nothing_else_of_it_is_seen(recorded: Recorded) -> None:
    async with browser(recorded) as (page, stranger):
        await page.goto(f"{recorded.url}/replay/{recorded.id}")
        await page.get_by_test_id("replay-share").click()
        await page.get_by_test_id("share-what").select_option("passage")
        await page.get_by_test_id("share-from").fill("0:25")
        await page.get_by_test_id("share-to").fill("0:35")
        await page.get_by_test_id("share-password").fill("sesame")
        await page.get_by_test_id("share-create").click()
        link = await page.get_by_test_id("share-link").inner_text()
        assert [rule["id"] for rule in (await Axe().run(page)).response["violations"]] == []
        visitor = await stranger.new_page()
        await visitor.goto(link)
        await visitor.get_by_test_id("replay-password").fill("guess")
        await visitor.get_by_test_id("replay-unlock").click()
        await expect(visitor.get_by_text("This is not the password.")).to_be_visible()
        await visitor.get_by_test_id("replay-password").fill("sesame")
        await visitor.get_by_test_id("replay-unlock").click()
        await expect(visitor.get_by_test_id("replay-time")).to_have_text("0:00 / 0:10")
        await shows(visitor, RED)
        assert link.partition("#")[2] not in visitor.url
        await visitor.get_by_test_id("replay-seek").fill("8")
        await shows(visitor, BLUE)
        await visitor.get_by_test_id("replay-play").click()
        await visitor.wait_for_function("() => document.querySelector('video').paused", timeout=30_000)
        assert 34.9 < await visitor.evaluate(TIME) < 36
        assert await visitor.get_by_test_id("transcript-line").count() == 2
        assert await visitor.get_by_test_id("replay-download").count() == 0
        await page.get_by_test_id("share-end").first.click()
        await expect(page.get_by_test_id("shares")).to_have_count(0)
        await visitor.reload()
        await expect(visitor.get_by_text("There is no recording here that you may open")).to_be_visible()


@contextlib.contextmanager
def site() -> Iterator[str]:
    """Somebody else's web site; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>site</title>")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


async def share(recorded: Recorded, **body: object) -> dict[str, str]:
    headers = {"Cookie": f"consilium_session={recorded.session}"}
    url = f"{recorded.url}/api/recordings/{recorded.id}/shares"
    async with aiohttp.ClientSession(headers=headers) as http, http.post(url, json=body) as answer:
        assert answer.status == 201
        made: dict[str, str] = await answer.json()
        return made


async def test_an_embed_plays_in_the_pages_of_its_sites_and_in_no_others(recorded: Recorded) -> None:
    with site() as allowed, site() as refused:
        made = await share(recorded, audience="link", sites=[allowed], passage={"start": 45_000, "end": 60_000})
        frame = f'<iframe src="{recorded.url}{made["embed"]}" width="800" height="600"></iframe>'
        async with browser(recorded) as (_, stranger):
            page = await stranger.new_page()
            await page.goto(allowed)
            await page.set_content(frame)
            inside = page.frame_locator("iframe")
            await expect(inside.get_by_test_id("replay-time")).to_have_text("0:00 / 0:15")
            await inside.get_by_test_id("replay-play").click()
            video = page.frames[1]
            await video.wait_for_function("() => document.querySelector('video').currentTime > 45.5")
            await expect(inside.get_by_test_id("replay-captions")).to_contain_text("Sentence 46", timeout=30_000)
            await page.goto(refused)
            async with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
                await page.set_content(frame)
            assert await page.frame_locator("iframe").get_by_test_id("embed").count() == 0
            await page.goto(allowed)
            replay = frame.replace(made["embed"], f"/replay/{recorded.id}")
            async with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
                await page.set_content(replay)
            assert await page.frame_locator("iframe").locator("main").count() == 0, "only embeds may be framed"


async def test_firefox_plays_a_passage_across_a_change_of_speaker(recorded: Recorded) -> None:
    made = await share(recorded, audience="link", passage={"start": 27_000, "end": 33_000})
    async with firefox() as fox:
        person = Person(fox, recorded.url)
        await person.goto(made["path"])
        await person.click("replay-play")
        time = "return document.querySelector('video').currentTime"
        await person.until(f"{time} > 30.5")
        await person.until(f"return String(({COLOUR})(arguments[0])) === String(arguments[1])", [RED, BLUE], BLUE)
        await person.until("return document.querySelector('video').paused")
        assert 32.9 < float(await person.run(time)) < 34.2


async def test_firefox_shows_everybody_side_by_side(recorded: Recorded) -> None:
    made = await share(recorded, audience="link")
    async with firefox() as fox:
        person = Person(fox, recorded.url)
        await person.goto(made["path"])
        await person.click("replay-layout")
        await person.until("return document.querySelectorAll('[data-testid=grid-video]').length === 2")
        await person.click("replay-play")
        # Without a sound card Firefox cannot play the sound alone, and goes on with the programme's.
        await person.until("return document.querySelector('video').currentTime > 5")
        drift = await person.run(f"return ({DRIFT})(2)")
        assert len(drift) > 10 and drift[len(drift) // 2] < 0.08, drift[-5:]
        await person.until(f"return ({SHOWN})(arguments[0])", {"ann camera": "red", "bob camera": "blue"})


async def test_what_a_killed_server_left_is_replayed_after_the_next_start(recorded: Recorded) -> None:
    async with browser(recorded) as (page, _):
        await page.goto(f"{recorded.url}/replay/crashed")
        await expect(page.get_by_test_id("replay-state")).to_be_visible()
        await expect(page.get_by_test_id("transcript-line")).to_have_count(1)
        await page.get_by_test_id("replay-seek").fill("2")
        await shows(page, RED)
        await page.get_by_test_id("replay-play").click()
        await page.wait_for_function("() => document.querySelector('video').paused", timeout=30_000)
        assert await page.evaluate(TIME) > 2.5
        assert await page.get_by_test_id("replay-trouble").count() == 0


async def test_a_share_that_ends_while_it_plays_ends_the_watching(recorded: Recorded) -> None:
    made = await share(recorded, audience="link")
    async with browser(recorded) as (page, stranger):
        visitor = await stranger.new_page()
        await visitor.goto(recorded.url + made["path"])
        await visitor.get_by_test_id("replay-play").click()
        await visitor.wait_for_function("() => document.querySelector('video').currentTime > 0.5")
        await page.goto(f"{recorded.url}/replay/{recorded.id}")
        await page.get_by_test_id("replay-share").click()
        ways = page.get_by_test_id("share-end")
        await ways.first.wait_for()
        before = await ways.count()
        await ways.first.click()
        await expect(ways).to_have_count(before - 1)
        await visitor.get_by_test_id("replay-seek").fill("70")
        await expect(visitor.get_by_test_id("replay-trouble")).to_be_visible(timeout=30_000)
        words = await visitor.evaluate(
            "() => fetch(location.pathname.replace('/replay/', '/api/recordings/')).then((answer) => answer.status)"
        )
        assert words == 404


async def test_what_is_edited_out_is_gone_for_everybody_and_can_be_brought_back(recorded: Recorded) -> None:
    made = await share(recorded, audience="link")
    async with browser(recorded) as (page, stranger):
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(f"{recorded.url}/replay/{recorded.id}")
        await page.get_by_test_id("replay-edit").click()
        lines = page.get_by_test_id("edit-line")
        await expect(lines).to_have_count(14)
        await page.get_by_test_id("edit-cut-line").nth(4).click()  # 21 to 24 s
        await page.get_by_test_id("edit-name").first.fill("Dr. Ann Lee")
        await page.get_by_test_id("edit-words").nth(1).click()
        await page.get_by_test_id("edit-text").fill("Sentence 6: take one tablet.")
        await page.get_by_test_id("edit-text").press("Enter")
        await page.get_by_test_id("replay-seek").fill("70")
        await page.get_by_test_id("edit-after").click()
        await expect(page.get_by_test_id("edit-cut")).to_have_count(2)
        assert [rule["id"] for rule in (await Axe().run(page)).response["violations"]] == []
        await page.get_by_test_id("edit-save").click()
        await expect(page.get_by_test_id("edit-save")).to_be_disabled()

        visitor = await stranger.new_page()
        await visitor.goto(recorded.url + made["path"])
        await expect(visitor.get_by_test_id("transcript-line")).to_have_count(13)
        await expect(visitor.get_by_test_id("replay-person").first).to_have_text("Dr. Ann Lee")
        words = await visitor.get_by_test_id("transcript-line").all_inner_texts()
        assert any("Sentence 6: take one tablet." in line for line in words) and not any(
            "Sentence 21" in w for w in words
        )
        kept = (
            await visitor.evaluate(
                "() => fetch(location.pathname.replace('/replay/', '/api/recordings/')).then((a) => a.json())"
            )
        )["kept"]
        assert kept[0]["end"] <= 21_000 and kept[1]["start"] >= 24_000 and kept[-1]["end"] <= 70_000
        await visitor.get_by_test_id("replay-seek").fill(str(kept[0]["end"] / 1000 - 1))
        await visitor.wait_for_function(STILL)
        await visitor.evaluate(
            "() => { const v = document.querySelector('video'); window.__seen = [];"
            " const look = () => { window.__seen.push(v.currentTime); v.requestVideoFrameCallback(look); };"
            " v.requestVideoFrameCallback(look); }"
        )
        await visitor.get_by_test_id("replay-play").click()
        await visitor.wait_for_function(
            f"() => document.querySelector('video').currentTime > {kept[1]['start'] / 1000 + 1}"
        )
        seen = await visitor.evaluate("() => window.__seen")
        inside = [at for at in seen if kept[0]["end"] / 1000 + 0.3 < at < kept[1]["start"] / 1000 - 0.1]
        assert len(seen) > 3 and inside == []
        assert await visitor.get_by_test_id("replay-trouble").count() == 0

        await page.get_by_test_id("edit-restore").first.click()
        await page.get_by_test_id("edit-restore").first.click()
        await page.get_by_test_id("edit-name").first.fill("Ann")
        await page.get_by_test_id("edit-words").nth(1).click()
        await page.get_by_test_id("edit-text").fill("Sentence 6: take five tablets.")
        await page.get_by_test_id("edit-keep").click()
        await page.get_by_test_id("edit-save").click()
        await expect(page.get_by_test_id("edit-save")).to_be_disabled()
        await visitor.reload()
        await expect(visitor.get_by_test_id("replay-time")).to_have_text("0:00 / 1:15")
        await expect(visitor.get_by_test_id("transcript-line")).to_have_count(14)
        assert errors == []
        await visitor.goto(f"{recorded.url}/replay/{recorded.id}/edit")
        await expect(visitor.get_by_text("This recording cannot be edited")).to_be_visible()


async def test_an_archive_is_taken_in_from_the_home_page(recorded: Recorded, tmp_path: Path) -> None:
    async with browser(recorded) as (page, _):
        await page.goto(f"{recorded.url}/replay/{recorded.id}")
        made = await page.evaluate(
            """async (id) => {
              const ask = (path, init) => fetch(`/api/recordings/${id}/exports${path}`, init).then((a) => a.json());
              const headers = {'content-type': 'application/json'};
              let job = await ask('', {method: 'POST', headers, body: JSON.stringify({format: 'zip'})});
              while (job.state !== 'done') job = await ask('/' + job.id);
              return job.url;
            }""",
            recorded.id,
        )
        archive = tmp_path / "taken.zip"
        archive.write_bytes(await (await page.request.get(recorded.url + made)).body())
        await page.goto(f"{recorded.url}/")
        await page.get_by_role("link", name="Ward round").first.wait_for()
        before = await page.get_by_role("link", name="Ward round").count()
        await page.get_by_test_id("import-file").set_input_files(archive)
        await expect(page.get_by_role("link", name="Ward round")).to_have_count(before + 1)
        (tmp_path / "no.zip").write_bytes(b"PK not really")
        await page.get_by_test_id("import-file").set_input_files(tmp_path / "no.zip")
        await expect(page.get_by_text("The server did not take it in")).to_be_visible()


async def test_a_share_for_members_sends_strangers_to_the_login(recorded: Recorded) -> None:
    made = await share(recorded, audience="members")
    async with browser(recorded) as (page, stranger):
        visitor = await stranger.new_page()
        await visitor.goto(recorded.url + made["path"])
        await expect(visitor.get_by_text("This recording is not open to you")).to_be_visible()
        await expect(visitor.get_by_role("link", name="Sign in")).to_be_visible()
        await page.goto(recorded.url + made["path"])
        await expect(page.get_by_test_id("replay-time")).to_have_text("0:00 / 1:15")


async def test_the_page_is_used_by_keyboard_alone_on_a_phones_width(recorded: Recorded) -> None:
    async with browser(recorded) as (page, _):
        await page.set_viewport_size({"width": 360, "height": 740})
        await page.goto(f"{recorded.url}/replay/{recorded.id}")
        await page.get_by_test_id("replay-video").wait_for()
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        for _ in range(40):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement?.dataset.testid") == "tab-words":
                break
        await page.keyboard.press("ArrowRight")
        await expect(page.get_by_test_id("tab-chapters")).to_be_focused()
        await page.keyboard.press("Tab")
        for _ in range(4):
            await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("replay-time")).to_have_text("0:50 / 1:15")
        await page.keyboard.press("/")
        await expect(page.get_by_test_id("transcript-search")).to_be_focused()
        assert (await Axe().run(page)).response["violations"] == []


async def test_everybody_side_by_side_keeps_to_the_sound(recorded: Recorded) -> None:
    async with browser(recorded) as (page, stranger):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{recorded.url}/replay/{recorded.id}")
        await page.get_by_test_id("replay-layout").click()
        await expect(page.get_by_test_id("grid-tile")).to_have_count(2)
        await page.wait_for_function(SHOWN, arg={"ann camera": "red", "bob camera": "blue"})
        asked.clear()
        await page.get_by_test_id("replay-play").click()
        await page.wait_for_function("() => document.querySelector('video').currentTime > 2")
        drift = await page.evaluate(DRIFT, 3)
        assert len(drift) > 10 and drift[len(drift) // 2] < 0.08, drift[-5:]
        await page.get_by_test_id("replay-seek").fill("52")
        await expect(page.get_by_test_id("grid-tile")).to_have_count(3)
        await page.wait_for_function(SHOWN, arg={"bob screen": "green", "ann camera": "red", "bob camera": "blue"})
        await expect(page.get_by_test_id("replay-captions")).to_contain_text("Sentence 5")
        assert not any(url.endswith(("/video.m3u8", "/master.m3u8")) for url in asked), (
            "the programme is not fetched too"
        )
        assert (await Axe().run(page)).response["violations"] == []
        await page.set_viewport_size({"width": 360, "height": 740})
        await expect(page.get_by_test_id("grid-tile")).to_have_count(2)
        await expect(page.get_by_test_id("grid-more")).to_be_visible()
        await page.get_by_test_id("replay-layout").click()
        await expect(page.get_by_test_id("replay-grid")).to_have_count(0)
        await page.wait_for_function("() => document.querySelector('video').videoWidth > 0")
        made = await share(recorded, audience="link", passage={"start": 45_000, "end": 60_000})
        visitor = await stranger.new_page()
        await visitor.goto(recorded.url + made["path"])
        await expect(visitor.get_by_test_id("replay-time")).to_have_text("0:00 / 0:15")
        assert await visitor.get_by_test_id("replay-layout").count() == 0
        tried = (
            "(path) => fetch(location.pathname.replace('/replay/', '/api/recordings/') + path).then((a) => a.status)"
        )
        for path in ("/grid", "/grid/0.m3u8", "/grid/2.m3u8"):
            assert await visitor.evaluate(tried, path) == 404
        assert await page.evaluate(tried, "/grid/..%2Frecording.m3u8") == 404


async def test_the_seek_bar_has_pictures_and_none_of_what_is_cut_out(recorded: Recorded) -> None:
    made = await share(recorded, audience="link")
    async with browser(recorded) as (page, stranger):
        await page.goto(f"{recorded.url}/replay/{recorded.id}")
        await page.get_by_test_id("replay-seek").hover(position={"x": 600, "y": 10})
        await expect(page.get_by_test_id("seek-picture")).to_be_visible()
        assert (await Axe().run(page)).response["violations"] == []
        visitor = await stranger.new_page()
        await visitor.goto(recorded.url + made["path"])
        await visitor.get_by_test_id("replay-time").wait_for()
        colours = """async () => {
          const base = location.pathname.replace('/replay/', '/api/recordings/') + '/thumbnails/';
          const text = await (await fetch(base + 'index.vtt')).text();
          const names = ['red', 'green', 'blue'], found = new Set();
          for (const sheet of new Set(text.match(/\\d+\\.jpg/g))) {
            const image = await createImageBitmap(await (await fetch(base + sheet)).blob());
            const canvas = document.createElement('canvas');
            canvas.width = image.width; canvas.height = image.height;
            const context = canvas.getContext('2d');
            context.drawImage(image, 0, 0);
            for (const [, x, y] of text.matchAll(new RegExp(sheet + '#xywh=(\\\\d+),(\\\\d+)', 'g'))) {
              const rgb = [...context.getImageData(Number(x) + 80, Number(y) + 20, 1, 1).data].slice(0, 3);
              found.add(names[rgb.indexOf(Math.max(...rgb))]);
            }
          }
          return [...found];
        }"""
        assert set(await visitor.evaluate(colours)) == {"red", "green", "blue"}
        cookie = {"Cookie": f"consilium_session={recorded.session}"}
        edits = f"{recorded.url}/api/recordings/{recorded.id}/edits"
        async with aiohttp.ClientSession(headers=cookie) as http:
            now = await (await http.get(edits)).json()
            cut = now | {"cuts": [{"start": 49_000, "end": 61_000}]}
            async with http.put(edits, json=cut) as answer:
                assert answer.status == 200
                saved = await answer.json()
            assert set(await visitor.evaluate(colours)) == {"red", "blue"}
            async with http.put(edits, json=saved | {"cuts": []}) as answer:
                assert answer.status == 200
