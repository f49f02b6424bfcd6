from __future__ import annotations

import pytest

from farm.text.scripts import foreign


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Once upon a time.", "zh", False),
        ("Es war einmal im Café.", "en", False),
        ("你好，世界。今天天气很好。", "en", True),
        ("你好，世界。今天天气很好。", "zh-CN", False),
        ("你好，世界。今天天气很好。", "zh_CN", False),
        ("你好，世界。今天天气很好。", "ru", True),
        ("Она сказала: «Hello»", "en-US", True),
        ("Она сказала: «Hello»", "uk", False),
        ("She said “Привет” to all.", "en", False),
        ("πr² and µm", "en", False),
        ("ひらがなとカタカナと漢字", "ja", False),
        ("ひらがなとカタカナ", "zh", True),
        ("안녕하세요", "en", True),
        ("안녕하세요", "ko", False),
        ("नमस्ते दुनिया", "hi", False),
        ("नमस्ते दुनिया", "fr", True),
        ("你好", "tlh", False),
        ("你好", "", False),
        ("… — ¡123!", "en", False),
        ("", "en", False),
    ],
)
def test_a_text_is_foreign_where_most_letters_are_of_another_script(
    text: str, language: str, expected: bool
) -> None:
    assert foreign(text, language) == expected
