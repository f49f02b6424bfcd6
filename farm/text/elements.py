"""SSML's elements: what each of them makes of the text in it."""

from __future__ import annotations

from dataclasses import replace

from lxml import etree

from farm.errors import InvalidInput, UnknownVoice
from farm.phonemes import ipa
from farm.text import say_as
from farm.text.markup import LANG, text_of
from farm.text.prosody_values import changed, emphasised, pause
from farm.text.runs import Style
from farm.text.walking import QUOTED, Reads, Walk, name_of, no_voice


def _paragraph(walk: Walk, element: etree._Element, style: Style, depth: int) -> None:
    walk.blocks.edge("paragraph")
    walk.inside(element, style, depth)
    walk.blocks.edge("paragraph")


def _sentence(walk: Walk, element: etree._Element, style: Style, depth: int) -> None:
    walk.blocks.edge("sentence")
    walk.inside(element, replace(style, whole=True), depth)
    walk.blocks.edge("sentence")


def _spoken(walk: Walk, element: etree._Element, style: Style, depth: int) -> None:
    walk.inside(element, style, depth)


def _silent(walk: Walk, element: etree._Element, style: Style, _: int) -> None:
    walk.blocks.add("", style, len(text_of(element)))


def _voice(walk: Walk, element: etree._Element, style: Style, depth: int) -> None:
    for name in ("gender", "age", "variant", "languages", "required", "effect"):
        if value := element.get(name):
            walk.warn(element, f"voice {name}={value[:QUOTED]!r} is not honoured")
    if named := (element.get("name") or "").split():
        prosody = style.prosody
        chosen = _chosen(walk, element, named)
        if chosen != style.voice:
            prosody = replace(prosody, speaker="")
        own = (walk.setting.voices or {}).get(chosen, "")
        language = style.language if element.get(LANG) is not None else own
        style = replace(style, voice=chosen, prosody=prosody, language=language)
    else:
        walk.warn(element, "a voice without a name: the voice stays the same")
    walk.inside(element, style, depth)


def _chosen(walk: Walk, element: etree._Element, named: list[str]) -> str:
    """The first of the names that the farm has."""
    walk.voices.update(dict.fromkeys(named))
    known = walk.setting.voices
    found = next((name for name in named if known is None or name in known), None)
    if found is None:
        said = no_voice(named, known or (), walk.setting.others)
        raise UnknownVoice(f"line {element.sourceline}: {said}")
    return found


def _prosody(walk: Walk, element: etree._Element, style: Style, depth: int) -> None:
    prosody = style.prosody
    for name in ("rate", "pitch", "volume"):
        value = element.get(name)
        if value is not None:
            change = changed(prosody, name, value, azure=walk.azure)
            prosody = change.prosody
            for warning in change.warnings:
                walk.warn(element, warning)
    for name in ("contour", "range", "duration"):
        if element.get(name):
            walk.warn(element, f"prosody {name} is not honoured")
    walk.inside(element, replace(style, prosody=prosody), depth)


def _emphasis(walk: Walk, element: etree._Element, style: Style, depth: int) -> None:
    change = emphasised(style.prosody, element.get("level") or "")
    for warning in change.warnings:
        walk.warn(element, warning)
    walk.inside(element, replace(style, prosody=change.prosody), depth)


def _break(walk: Walk, element: etree._Element, style: Style, depth: int) -> None:
    milliseconds, warning = pause(element.get("time"), element.get("strength"))
    if warning:
        walk.warn(element, warning)
    if not walk.blocks.pause(milliseconds):
        walk.warn(element, "a break before the first word is left out")
    walk.inside(element, style, depth)


def _sub(walk: Walk, element: etree._Element, style: Style, depth: int) -> None:
    alias = element.get("alias")
    if alias is None:
        walk.warn(element, "a sub without an alias: its text is spoken")
        walk.inside(element, style, depth)
        return
    if not alias.strip():
        walk.warn(element, f"an empty alias: {text_of(element)[:QUOTED]!r} is not spoken")
    walk.blocks.add(alias, style, len(text_of(element)))


def _say_as(walk: Walk, element: etree._Element, style: Style, depth: int) -> None:
    kind, text = element.get("interpret-as") or "", text_of(element)
    form = element.get("format") or ""
    language = style.language or walk.setting.language
    written = None if len(element) else say_as.write(text, kind, form, language)
    if written is None:
        walk.warn(
            element,
            f"say-as interpret-as={kind[:QUOTED]!r} does not say how to read "
            f"{text.strip()[:QUOTED]!r}: it is read like any other text",
        )
        walk.inside(element, style, depth)
    elif written == text:
        walk.blocks.add(text, style)
    else:
        walk.blocks.add(written, style, len(text))


def _phoneme(walk: Walk, element: etree._Element, style: Style, depth: int) -> None:
    alphabet, text = element.get("alphabet") or "ipa", text_of(element)
    try:
        if alphabet != "ipa":
            raise InvalidInput(f"alphabet {alphabet[:QUOTED]!r} is not known, only 'ipa'")
        sounds = ipa.read(element.get("ph") or "")
    except InvalidInput as error:
        walk.warn(element, f"phoneme: {error}; its text is read like any other")
        walk.inside(element, style, depth)
        return
    word = text.strip()
    if not word:  # then nothing but the sounds can be shown for them
        walk.blocks.add(sounds, style, len(text), sounds)
        return
    before, _, after = text.partition(word)
    walk.blocks.add(before, style)
    walk.blocks.add(word, style, len(word), sounds)
    walk.blocks.add(after, style)


def _audio(walk: Walk, element: etree._Element, style: Style, depth: int) -> None:
    source = (element.get("src") or "")[:QUOTED]
    spoken = "its text is spoken instead" if text_of(element).strip() else "nothing is heard"
    walk.warn(element, f"audio {source!r} is not played: {spoken}")
    walk.inside(element, style, depth)


def _mark(walk: Walk, element: etree._Element, style: Style, depth: int) -> None:
    walk.warn(element, "marks are not kept; sentence and word marks give times")
    walk.inside(element, style, depth)


def _lexicon(walk: Walk, element: etree._Element, style: Style, depth: int) -> None:
    where = element.get("uri") or element.get("ref") or ""
    walk.warn(element, f"{name_of(element)} {where[:QUOTED]!r} is not loaded")
    walk.inside(element, style, depth)


ELEMENTS: dict[str, Reads] = {
    "p": _paragraph,
    "s": _sentence,
    "token": _spoken,
    "w": _spoken,
    "lang": _spoken,
    "voice": _voice,
    "prosody": _prosody,
    "emphasis": _emphasis,
    "break": _break,
    "sub": _sub,
    "say-as": _say_as,
    "phoneme": _phoneme,
    "audio": _audio,
    "mark": _mark,
    "bookmark": _mark,
    "lexicon": _lexicon,
    "lookup": _lexicon,
    "desc": _silent,
    "metadata": _silent,
    "meta": _silent,
}
