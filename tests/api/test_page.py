from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Request, expect

from farm.ledger import Ref
from tests.api.browsing import Visit, chromium, visit
from tests.api.conftest import Api
from tests.text import epubs

#: Long enough to act while it is heard.
LONG = "It ran off again, over the wall, along the river and through every garden of the town."
TEXT = f"# One\n\nA cat sat down. {LONG}\n\n# Two\n\nHere all of it ends."


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def book(folder: Path) -> Path:
    chapters = {
        "one.xhtml": epubs.page("<h1>The Weir</h1><p>The river was high. It was $4.50 a boat.</p>"),
        "two.xhtml": epubs.page("<h1>The Wheel</h1><p>It turned all night.</p>"),
    }
    toc: epubs.Toc = [("The Weir", "one.xhtml", []), ("The Wheel", "two.xhtml", [])]
    return epubs.write_epub(folder / "mill.epub", chapters, toc=toc)


def hold_before(api: Api, stage: str) -> None:
    """Hold the farm as soon as a unit of a stage is to be done."""
    send = api.farm.send

    def holding(ref: Ref, label: str) -> None:
        if ref.stage == stage:
            api.workers.going.clear()
            api.farm.send = send
        send(ref, label)

    api.farm.send = holding


def done(api: Api, name: str = "j", text: str = TEXT, **more: Any) -> dict[str, Any]:
    """Have a job of this machine's own done."""
    body = {"kind": "book", "title": "Cats", "text": text, **more}
    api.anyone.put(f"/v1/jobs/{name}", json=body).raise_for_status()
    return api.finish(api.anyone, name)


def shows(here: Visit, selector: str, *texts: str) -> None:
    expect(here.page.locator(selector)).to_have_text(list(texts))


def test_a_book_is_chosen_estimated_read_heard_and_fetched(
    api: Api, browser: Browser, tmp_path: Path
) -> None:
    with visit(browser, api.url) as here:
        page = here.page
        here.go()
        page.set_input_files("#file", book(tmp_path))
        page.check("input[value=tone]")
        page.check("#as-readalong")
        page.check("#as-mp3")
        page.check("#as-subtitles")
        expect(page.locator("#estimate")).to_contain_text("The Mill by Ann Lee")
        shows(here, ".figures dd >> nth=0", "2")
        shows(here, "#estimate li span:first-child", "The Weir", "The Wheel")
        assert list(api.farm.store.list("jobs/")) == []

        hold_before(api, "chunk")
        page.click("#start")
        page.click("[data-key=listen-0]")
        expect(page.locator("#player-note")).to_have_text("The next sentence is still being read…")
        assert page.locator(".sentence.unspoken").count() == 3
        page.click("#reader-edit")
        shows(here, "#player-note", "Sentences can be changed when the job has ended.")
        hold_before(api, "items")
        api.workers.going.set()
        here.hears("blob:")
        page.select_option("#player-rate", "2")
        here.follows("The river was high.")
        api.workers.going.set()

        shows(here, "#job .badge", "Completed")
        page.click("[data-key=listen-0]")
        here.hears(f"{api.url}/v1/downloads/")
        shows(here, ".sentence", "The Weir", "The river was high.", "It was $4.50 a boat.")
        page.click("text=It was $4.50 a boat.")
        here.follows("It was $4.50 a boat.")
        page.wait_for_function("() => CSS.highlights.get('word')?.size === 1")
        here.follows("The Wheel")  # the next chapter, by itself

        with page.expect_download() as waiting:
            page.click(".files >> text=Read-along EPUB")
        files = api.anyone.get(f"/v1/jobs/{page.url.split('/')[-1]}/outputs").json()["data"]
        (epub,) = (file for file in files if file["format"] == "epub")
        assert waiting.value.suggested_filename == epub["name"]
        assert waiting.value.path().stat().st_size == epub["size"]
        assert page.locator("text=Audiobook (M4B)").count() == 1
        whole = {file["format"] for file in files if not file["item"]}
        assert whole == {"m4b", "epub", "srt", "vtt"}
        assert {file["format"] for file in files} == whole | {"m4a", "mp3", "marks"}


def test_the_first_pages_of_a_book_are_read_where_that_is_ticked(
    api: Api, browser: Browser, tmp_path: Path
) -> None:
    pages = {
        "cover.xhtml": epubs.page("<p>The Mill.</p>"),
        "a.xhtml": epubs.page("<p>It rains.</p>"),
    }
    toc: epubs.Toc = [("Cover", "cover.xhtml", []), ("Rain", "a.xhtml", [])]
    with visit(browser, api.url) as here:
        here.go()
        here.page.set_input_files("#file", epubs.write_epub(tmp_path / "b.epub", pages, toc=toc))
        shows(here, "#estimate li span:first-child", "Rain")
        here.page.check("#front-matter")
        shows(here, "#estimate li span:first-child", "Cover", "Rain")


def test_a_voice_is_heard_before_it_is_chosen(api: Api, browser: Browser) -> None:
    with visit(browser, api.url) as here:
        here.go()
        expect(here.page.locator("input[value=tone]")).to_be_checked()
        with here.page.expect_response("**/v1/audio/speech") as waiting:
            here.page.click("[data-key=listen-low]")
        sent = json.loads(waiting.value.request.post_data or "")
        assert (sent["voice"], sent["input"][:8]) == ("low", "The rain")
        shows(here, "[data-key=listen-low]", "■Stop")
        here.page.click("[data-key=listen-low]")
        shows(here, "[data-key=listen-low]", "▶\ufe0eListen")


def test_the_voice_to_begin_with_comes_first(api: Api, browser: Browser) -> None:
    voices = "#voices input"
    with visit(browser, api.url) as here:
        here.go()
        expect(here.page.locator("input[value=tone]")).to_be_checked()
        assert here.page.locator(voices).evaluate_all("all => all.length") > 1
        assert here.page.locator(voices).first.get_attribute("value") == "tone"


def test_a_sentence_is_changed_and_heard_again(api: Api, browser: Browser) -> None:
    done(api)
    with visit(browser, api.url) as here:
        here.go("jobs/j")
        here.page.click("[data-key=listen-0]")
        here.page.click(f"text={LONG}")
        here.follows(LONG)
        here.page.keyboard.press("End")
        here.page.keyboard.press("e")
        here.page.fill("#edit-text", "She ran away again.")
        here.page.click("#edit-speak")
        here.hears("")
        here.follows("She ran away again.")
        expect(here.page.locator("#job")).to_contain_text("Revision 2")
        api.finish(api.anyone, "j")
        here.page.click("#reader-edit")
        here.page.click("#edit-retake")
        expect(here.page.locator("#job")).to_contain_text("Revision 3")
    api.finish(api.anyone, "j")
    takes = api.anyone.get("/v1/jobs/j/items/0/segments").json()["data"]
    assert [(row["text"], row["take"]) for row in takes][-1] == ("She ran away again.", 2)


def test_what_could_not_be_read_is_shown_and_mended(api: Api, browser: Browser) -> None:
    done(api, text="# One\n\nThis is well. This is [[fail]] not.")
    with visit(browser, api.url) as here:
        here.go("jobs/j")
        shows(here, "blockquote", "This is [[fail]] not.")
        here.page.click("[data-key=mend-0]")
        here.page.fill("#edit-text", "This is well, too.")
        here.page.click("#edit-speak")
        shows(here, "blockquote")
    assert api.finish(api.anyone, "j")["counts"]["failed"] == 0


def test_a_key_is_asked_for_kept_as_wished_and_in_no_address(api: Api, browser: Browser) -> None:
    _, key = api.key()
    with visit(browser, api.url, "401") as here:
        page = here.page
        here.go()
        page.fill("#key-text", "farm_wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#key-wrong")).to_be_visible()
        page.fill("#key-text", key)
        page.keyboard.press("Enter")
        expect(page.locator(".voice")).not_to_have_count(0)
        kept = "[sessionStorage['farm.key'], localStorage['farm.key']]"
        assert page.evaluate(kept) == [key, None]
        page.reload()
        expect(page.locator(".voice")).not_to_have_count(0)
        page.click("#key-change")
        page.check("#key-remember")
        page.fill("#key-text", key)
        page.keyboard.press("Enter")
        page.wait_for_function("() => localStorage['farm.key']")
        expect(page.locator("#nav-farm")).to_be_hidden()
        carrying = [r for r in here.asked if key in json.dumps(r.all_headers())]
        assert len(carrying) > 3
        assert [r.url for r in here.asked if key in r.url] == []


def test_a_lost_connection_is_told_and_comes_back(api: Api, browser: Browser) -> None:
    hold_before(api, "chunk")
    api.anyone.put("/v1/jobs/j", json={"kind": "book", "text": TEXT}).raise_for_status()
    with visit(browser, api.url, "ERR_INTERNET_DISCONNECTED") as here:
        here.go("jobs/j")
        shows(here, "#job .badge", "Being read")
        for act, state in (("pause", "Paused"), ("resume", "Being read")):
            api.anyone.post(f"/v1/jobs/j/{act}").raise_for_status()
            shows(here, "#job .badge", state)
        here.page.context.set_offline(True)
        shows(here, "#offline", "The connection is lost. The farm goes on; this page tries again…")
        api.workers.going.set()
        api.finish(api.anyone, "j")
        with here.page.expect_request(resumes):
            here.page.context.set_offline(False)
        shows(here, "#job .badge", "Completed")
        expect(here.page.locator("#offline")).to_be_hidden()


def resumes(request: Request) -> bool:
    """Whether a stream is to go on from the last event that the page has."""
    return request.url.endswith("/events") and "last-event-id" in request.headers


def test_jobs_are_listed_cancelled_retried_and_deleted(api: Api, browser: Browser) -> None:
    hold_before(api, "chunk")
    api.anyone.put("/v1/jobs/j", json={"kind": "book", "title": "Cats", "text": TEXT})
    with visit(browser, api.url) as here:
        here.go("jobs")
        shows(here, "#jobs .badge", "Being read")
        here.page.click("[data-key=pause-j]")
        shows(here, "#jobs .badge", "Paused")
        here.page.click("[data-key=cancel-j]")
        here.page.click("#confirm-yes")
        shows(here, "#jobs .badge", "Cancelled")
        api.workers.going.set()
        here.page.click("[data-key=retry-j]")
        shows(here, "#jobs .badge", "Completed")
        here.page.click("[data-key=delete-j]")
        expect(here.page.locator("#confirm-title")).to_have_text("Delete “Cats”?")
        here.page.click("#confirm-yes")
        shows(here, "#jobs-note", "There is nothing here yet.")


@pytest.mark.parametrize("touch", [False, True])
def test_nothing_is_said_of_a_keyboard_where_there_is_none(
    touch: bool, api: Api, browser: Browser
) -> None:
    done(api)
    with visit(browser, api.url, is_mobile=touch, has_touch=touch) as here:
        here.go("jobs/j")
        here.page.click("[data-key=listen-0]")
        expect(here.page.locator("#reader-help")).to_contain_text("Click a sentence to hear it.")
        expect(here.page.locator(".keys")).to_be_visible(visible=not touch)


def test_the_keyboard_is_enough(api: Api, browser: Browser) -> None:
    with visit(browser, api.url) as here:
        page, press = here.page, here.page.keyboard.press
        here.go()
        expect(page.locator("input[value=tone]")).to_be_checked()
        press("Tab")
        assert page.evaluate("document.activeElement.id") == "skip"
        press("Enter")
        tab_to(here, "#file")
        assert page.evaluate("getComputedStyle(drop).outlineStyle") == "solid"
        tab_to(here, "#text")
        page.keyboard.insert_text(TEXT)
        tab_to(here, "input[value=tone]")
        tab_to(here, "#start")
        assert page.evaluate("getComputedStyle(start).outlineWidth") == "3px"
        press("Enter")
        shows(here, "#job .badge", "Completed")
        tab_to(here, "[data-key=listen-0]")
        press("Enter")
        here.hears(api.url)
        page.evaluate("document.querySelector('.sentence.chosen').focus()")
        press("End")
        assert page.evaluate("document.activeElement.innerText") == LONG
        press("Enter")
        here.follows(LONG)
        tab_to(here, "#player-play")
        press("Space")
        page.wait_for_function("() => audio.paused")


def tab_to(here: Visit, selector: str) -> None:
    """Press Tab until an element has the focus; every one before it has a name."""
    for _ in range(60):
        here.page.keyboard.press("Tab")
        if here.page.evaluate("where => document.activeElement.matches(where)", selector):
            return
    raise AssertionError(f"Tab does not lead to {selector}")


def test_it_speaks_chinese_and_english(api: Api, browser: Browser) -> None:
    with visit(browser, api.url, locale="zh-CN") as here:
        here.go("jobs")
        shows(here, "h1:visible", "任务")
        assert here.page.evaluate("document.documentElement.lang") == "zh-CN"
        shows(here, "#jobs-note", "这里还没有任务。")
        here.page.click("#language")
        shows(here, "h1:visible", "Jobs")
        here.page.reload()
        shows(here, "#jobs-note", "There is nothing here yet.")


def test_it_is_dark_or_light_by_the_system_or_by_choice(api: Api, browser: Browser) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    with visit(browser, api.url, color_scheme="dark") as here:
        here.go()
        assert here.page.evaluate(paper) == "rgb(22, 24, 26)"
        here.page.click("#theme")
        shows(here, "#theme", "Colours: light")
        assert here.page.evaluate(paper) == "rgb(250, 248, 244)"
        here.page.reload()
        assert here.page.evaluate(paper) == "rgb(250, 248, 244)"


def test_nothing_is_wider_than_a_phone(api: Api, browser: Browser) -> None:
    done(api, title="A title with_one_very_long_word_that_no_line_of_a_phone_could_ever_hold")
    with visit(browser, api.url, "503", viewport={"width": 320, "height": 640}) as here:
        for view in ("", "jobs", "jobs/j", "farm"):
            here.go(view)
            here.page.wait_for_load_state("networkidle") if view != "jobs/j" else shows(
                here, "#job .badge", "Completed"
            )
            assert here.sideways() == 0, view
        here.go("jobs/j")
        here.page.click("[data-key=listen-0]")
        here.hears(api.url)
        assert here.sideways() == 0
        expect(here.page.locator("#reader-title")).to_be_in_viewport()
        here.page.goto(f"{api.url}/docs")
        expect(here.page.locator("#docs details")).not_to_have_count(0)
        assert here.sideways() == 0


def test_an_operator_sees_queues_and_health(api: Api, browser: Browser) -> None:
    done(api)
    told = json.dumps({"broker_url": "", "flower_url": "http://127.0.0.1:5555"})
    (api.service.settings.home / "connection.json").write_text(told)
    with visit(browser, api.url, "503") as here:
        here.go()
        here.page.click("#nav-farm")
        expect(here.page.locator("#farm tbody tr", has_text="tone").first).to_be_visible()
        expect(here.page.locator("#farm")).to_contain_text("no live worker of this family")
        link = here.page.locator("[data-key=flower]")
        assert link.get_attribute("href") == "http://127.0.0.1:5555"


def test_the_reference_has_every_route_and_asks_nobody_else(api: Api, browser: Browser) -> None:
    described = api.anyone.get("/openapi.json").json()["paths"]
    with visit(browser, api.url) as here:
        here.page.goto(f"{api.url}/docs")
        expect(here.page.locator("#docs details")).not_to_have_count(0)
        shown = set(here.page.locator("summary .verb + code").all_inner_texts())
    assert shown == described.keys()
