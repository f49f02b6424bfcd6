"""A Chinese EPUB on its way: chapters, sentences, what is spoken of them, and symbols."""

from pathlib import Path

from farm.phonemes.pinyin import syllables
from farm.text import sentences
from farm.text.documents import read
from tests.text.epubs import page, write_epub

CHAPTER = page(
    "<h1>第一章 雨</h1>"
    "<p>1999年5月2日，下了一场大雨。“你好！”他说，“我等了3个小时……”</p>"
    "<p>「這兒有2本书，」她说——共￥35.5。</p>"
)


def test_a_chinese_book_becomes_symbols_and_nothing_is_lost(tmp_path: Path) -> None:
    path = write_epub(tmp_path / "book.epub", {"one.xhtml": CHAPTER}, toc=[("雨", "one.xhtml", [])])
    (section,) = read(path, path.name).sections
    spoken = [
        sentence.spoken for block in section.blocks for sentence in sentences(block.text, "zh")
    ]
    assert spoken == [
        "第一章 雨",
        "一九九九年五月二日，下了一场大雨。",
        "“你好！”",
        "他说，“我等了三个小时……”",
        "「這兒有两本书，」她说——共三十五点五元。",
    ]
    said = [syllables(text) for text in spoken]
    assert [one.warnings() for one in said] == [()] * 5
    assert " ".join(said[1].symbols) == (
        "yi1 jiu2 jiu2 jiu3 nian2 wu3 yue4 er4 ri4 ， xia4 le5 yi4 chang2 da4 yu3 。"
    )
    assert " ".join(said[4].symbols) == (
        "zher4 you3 liang2 ben3 shu1 ， ta1 shuo1 — gong4 san1 shi2 wu2 dian2 wu3 yuan2 。"
    )
