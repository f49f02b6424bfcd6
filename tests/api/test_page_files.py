"""What the web page is made of, without a browser."""

from __future__ import annotations

import json
import re
from pathlib import Path

from farm.api import pages
from tests.api.conftest import Api

STATIC = Path(pages.__file__).parent / "static"


def test_every_answer_carries_the_policy_and_is_kept_by_its_tag(api: Api) -> None:
    for path in ("/", "/docs", "/static/app.js", "/static/i18n/zh.json", "/static/icon.svg"):
        answer = api.anyone.get(path)
        assert answer.headers["content-security-policy"] == pages.policy()
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        again = api.anyone.get(path, headers={"If-None-Match": f'"x", W/{answer.headers["etag"]}'})
        assert (again.status_code, again.content) == (304, b"")
        assert "content-security-policy" in again.headers
    assert api.anyone.get("/static/app.js").headers["content-type"].startswith("text/javascript")
    for path in ("/static/nothing.js", "/static/%2e%2e/pages.py", "/static/"):
        assert api.anyone.get(path).status_code == 404


def test_the_policy_lets_in_nobody_but_the_store() -> None:
    store = "https://s3.example.com"
    rules = dict(rule.split(" ", 1) for rule in pages.policy(store).split("; "))
    assert {name for name, sources in rules.items() if store in sources} == {
        "connect-src",
        "media-src",
    }
    assert rules["default-src"] == rules["form-action"] == rules["base-uri"] == "'none'"
    assert "unsafe" not in pages.policy(store)


def test_the_page_runs_nothing_of_its_own_and_names_no_other_place() -> None:
    for path in STATIC.glob("*.html"):
        text = path.read_text()
        assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", text) == []
    for path in STATIC.rglob("*.*"):
        found = set(re.findall(r"https?://[^\s\"'`)]+", path.read_text()))
        assert found <= {"http://www.w3.org/2000/svg"}, path


def words(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((STATIC / f"i18n/{language}.json").read_text())
    return found


def test_both_languages_have_the_same_texts_with_the_same_gaps() -> None:
    english, chinese = words("en"), words("zh")
    assert english.keys() == chinese.keys()
    gaps = re.compile(r"\{(\w+)\}")
    for key, text in english.items():
        assert set(gaps.findall(text)) == set(gaps.findall(chinese[key])), key


def test_every_text_that_is_used_is_there() -> None:
    code = "".join(path.read_text() for path in STATIC.glob("*.*") if path.suffix != ".css")
    used = set(re.findall(r'\bt\(\s*"([^"]+)"|data-t(?:-label|-placeholder)?="([^"]+)"', code))
    assert {first or second for first, second in used} <= words("en").keys()
    begins = set(re.findall(r"\bt\(\s*`([\w.-]+\.)\$\{", code))
    named = {key for key in words("en") if f'"{key}"' in code or key.startswith(tuple(begins))}
    assert words("en").keys() - named == set()
