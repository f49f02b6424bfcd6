"""A job's input to pages of passages, written as they are read: nothing is held whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from farm import keys, paging
from farm.audio.cover import is_picture
from farm.audio.formats import FORMATS
from farm.errors import Damaged, InvalidInput, JobError, UnknownVoice
from farm.jobs import Block, Item, Spec, Voice
from farm.plans import About, Head, counted
from farm.schema import to_json
from farm.storage import Store, scratch
from farm.text import Lexicons, documents, lexicon, lines, ssml
from farm.voices import tongues

_EMPTY_LINES = re.compile(r"(?:\r?\n[ \t]*){2,}")
#: Engines that can change a voice's pitch; the others refuse a segment that asks for it.
PITCHED = frozenset({"fastspeech2", "tone"})
#: Languages that a voice does not speak of which one item warns.
MOST_TONGUES = 20


@dataclass(frozen=True)
class _Source:
    """A document's items, and what is known of it."""

    items: Iterable[Item]
    about: About
    cover: bytes | None = None


def read(store: Store, spec: Spec, revision: int, ready: Callable[[int], None]) -> Head:
    """Write a job's pages, telling `ready` the number of each; return the plan's head.

    Raises:
        InvalidInput: the document cannot be read at all.
        UnknownVoice: the voice does not speak its language.
    """
    count = items = 0
    with _source(store, spec) as source:
        about = replace(source.about, cover=_keep_cover(store, spec, source.cover))
        store.put(keys.about(spec.id, revision), to_json(about))
        heard = _tongues(spec, source.about.language)
        warnings = lexicons(store, spec).unheard(heard) if spec.lexicons else ()
        for page in paging.pages(_noted(source.items, warnings)):
            rows = b"\n".join(map(to_json, page))
            key = keys.plan(spec.id, revision, "source", count)
            store.put(key, rows, if_absent=True)
            ready(count)
            count += 1
            items += sum(1 for passage in page if passage.number == 0)
    return Head(count, items)


def lexicons(store: Store, spec: Spec) -> Lexicons:
    """Return the lexicons that a job was accepted with.

    Raises:
        Damaged: one of them is not what it was.
    """
    return Lexicons([_lexicon(store, keys.job(spec.id, "input", name)) for name in spec.lexicons])


def _lexicon(store: Store, key: str) -> lexicon.Lexicon:
    data = store.get(key)
    if not key.endswith(lexicon.named(data)):
        raise Damaged(key, "its name is the digest of something else")
    return lexicon.read(data)


def _tongues(spec: Spec, said: str) -> set[str]:
    """The languages that a job's texts are in, as far as its spec and its document say."""
    whole = spec.language or tongues.said(said)
    return {whole, *(voice.language for voice in spec.voices.values())} - {""}


def _noted(items: Iterable[Item], warnings: Sequence[str]) -> Iterator[Item]:
    """Yield items, the first with warnings of the whole job."""
    for item in items:
        yield replace(item, warnings=(*warnings, *item.warnings)) if warnings else item
        warnings = ()


def _keep_cover(store: Store, spec: Spec, cover: bytes | None) -> str:
    if cover is None or not is_picture(cover):
        return ""
    key = keys.job(spec.id, "input", "cover")
    store.put(key, cover)
    return key


@contextmanager
def _source(store: Store, spec: Spec) -> Iterator[_Source]:
    if spec.kind == "speech":
        yield _Source([_speech(store.get(spec.input), spec)], About())
        return
    with scratch("farm-read-") as folder:
        path = folder / "input"
        store.get_file(spec.input, path)
        if spec.kind == "batch":
            with path.open("rb") as stream:
                yield _Source(_line_items(lines.read_lines(stream), spec), About())
        else:
            setting = _setting(Item(0, ""), spec)
            book = documents.read(path, spec.name, front_matter=spec.front_matter, setting=setting)
            about = About(book.title, book.author, book.language)
            yield _Source(_sections(book, spec), about, book.cover)


def _speech(data: bytes, spec: Spec) -> Item:
    item = Item(0, spec.id, spec.title)
    if spec.name.lower().endswith(".ssml"):
        return _marked_up(item, data, spec)
    return _placed(replace(item, blocks=_paragraphs(_decoded(data))), spec)


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the text is not UTF-8 (byte {error.start})") from error


def _paragraphs(words: str) -> tuple[Block, ...]:
    """Cut a text at its empty lines."""
    gaps = [(gap.start(), gap.end()) for gap in _EMPTY_LINES.finditer(words)]
    starts = [0, *(end for _, end in gaps)]
    ends = [*(start for start, _ in gaps), len(words)]
    spans = zip(starts, ends, strict=True)
    return tuple(Block(words[a:b], start=a) for a, b in spans if words[a:b].strip())


def _sections(book: documents.Document, spec: Spec) -> Iterator[Item]:
    for index, section in enumerate(book.sections):
        item = Item(
            index,
            f"{index + 1:04d}",
            section.title,
            section.level,
            section.blocks,
            warnings=section.warnings,
        )
        item = _parted(_placed(item, spec, book.language), section.languages, spec)
        yield _fitted(item, spec)


def _line_items(rows: Iterable[lines.Line | lines.BadLine], spec: Spec) -> Iterator[Item]:
    for index, row in enumerate(rows):
        if isinstance(row, lines.BadLine):
            name = row.id or f"line-{row.number}"
            yield Item(index, name, error=row.error)
        else:
            yield _line_item(index, row, spec)


def _line_item(index: int, line: lines.Line, spec: Spec) -> Item:
    if line.voice and line.voice not in spec.voices:
        error = ssml.no_voice([line.voice], spec.voices, spec.others)
        return Item(index, line.id, error=f"line {line.number}: {error}")
    if line.format and line.format not in FORMATS:
        valid = ", ".join(FORMATS)
        error = f"line {line.number}: unknown format {line.format!r}; choose one of {valid}"
        return Item(index, line.id, error=error)
    item = Item(
        index,
        line.id,
        voice=line.voice or "",
        format=line.format or "",
        prosody=replace(spec.prosody, speed=line.speed) if line.speed else None,
    )
    where = f"line {line.number}, in its SSML" if line.ssml else f"line {line.number}"
    try:
        if line.ssml:
            return _marked_up(item, line.ssml, spec)
        return _placed(replace(item, blocks=_paragraphs(line.text)), spec)
    except JobError as error:
        return Item(index, line.id, error=f"{where}: {error}")


def _marked_up(item: Item, data: str | bytes, spec: Spec) -> Item:
    """Give an item what its SSML says."""
    found = ssml.read(data, _setting(item, spec))
    item = replace(item, blocks=found.blocks, warnings=found.warnings)
    return _fitted(_placed(item, spec, found.language), spec)


def _setting(item: Item, spec: Spec) -> ssml.Setting:
    """What an item's SSML is read for."""
    own = {name: voice.language for name, voice in spec.voices.items()}
    language = own[item.voice or spec.voice]
    return ssml.Setting(
        own, item.prosody or spec.prosody, language, spec.language, others=spec.others
    )


def _placed(item: Item, spec: Spec, said: str = "") -> Item:
    """Give an item the language of all in it that names none: the job's, else what is `said`.

    Raises:
        UnknownVoice: its voice does not speak that.
    """
    if all(block.voice or block.language for block in item.blocks):
        return item
    voice = spec.voices[item.voice or spec.voice]
    own = tongues.of_text(voice, spec.language, said)
    return replace(item, language="" if own == (spec.language or voice.language) else own)


def _parted(item: Item, said: Sequence[str], spec: Spec) -> Item:
    """Give an item's blocks the languages that they are `said` to be in.

    One that the voice is not known to speak is read like the rest, with a warning. A language that
    is asked for is that of all.
    """
    if spec.language or not said:
        return item
    voice = spec.voices[spec.voice]
    left: dict[str, list[str]] = {}
    blocks = []
    for block, language in zip(item.blocks, said, strict=True):
        try:
            own = tongues.of_part(voice, item.language or voice.language, language)
            block = replace(block, language=own)
        except UnknownVoice as error:
            left.setdefault(str(error), []).append(block.text)
        blocks.append(block)
    told = [counted(message, texts) for message, texts in left.items()][:MOST_TONGUES]
    return replace(item, blocks=tuple(blocks), warnings=(*item.warnings, *told))


def _fitted(item: Item, spec: Spec) -> Item:
    """Take back what the voices of an item's blocks cannot do, and say so."""
    warnings: dict[str, None] = dict.fromkeys(item.warnings)
    blocks = []
    for block in item.blocks:
        voice = spec.voices[block.voice or item.voice or spec.voice]
        usual = item.prosody or spec.prosody
        if block.prosody and block.prosody.pitch != usual.pitch and voice.engine not in PITCHED:
            block = replace(block, prosody=replace(block.prosody, pitch=usual.pitch))
            message = f"engine {voice.engine!r} cannot change the pitch of the voice {voice.id!r}"
            warnings[f"{message}: it stays as it is"] = None
        if block.language:
            block = _in_tongue(block, voice)
        blocks.append(block)
    return replace(item, blocks=tuple(blocks), warnings=tuple(warnings))


def _in_tongue(block: Block, voice: Voice) -> Block:
    """Call a block's language as its voice does; one that it does not speak its engine refuses."""
    with suppress(UnknownVoice):
        return replace(block, language=tongues.tongue(voice, block.language))
    return block
