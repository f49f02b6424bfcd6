"""A page to its plan: passages to segments, segments to chunks. Pure; `farm.paging` cuts pages.

A page is a function of its passages and the spec, so pages can be planned in parallel, again
after a crash, and with the same result.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from farm import batching, text
from farm.errors import EngineError, InvalidInput, JobError
from farm.jobs import Block, Edit, Item, Phones, Prosody, Segment, Spec, Voice
from farm.plans import Chunk, Failure, Page, Part, Passage, Share, counted
from farm.text import scripts

#: Milliseconds of silence after a piece of text that ends so.
PAUSES_MS = {"clause": 120, "sentence": 350, "paragraph": 650, "heading": 1100}
#: Characters a segment holds at most; longer sentences are cut at clause ends.
SEGMENT_CHARACTERS = 400
#: A chunk holds this part of its page's audio at least: numbers in words and slow speech must not
#: make more chunks of a page than the ledger takes (1,000; two neighbours are over this together).
PAGE_RUNS = 400

Phonemiser = Callable[[str], str]
"""Engine name to the name and version of what turns its text into phonemes."""

_NO_LEXICONS = text.Lexicons()


def digest(
    spoken: str,
    voice: Voice,
    prosody: Prosody,
    language: str,
    phonemiser: str,
    phones: Sequence[Phones] = (),
) -> str:
    """Name a segment's audio: SHA-256 over every input that the engine reads, in hex."""
    inputs = {
        "front end": text.FRONT_END,
        "phonemiser": phonemiser,
        "engine": voice.engine,
        "voice": voice.digest,
        "parameters": dict(voice.parameters),
        "sample rate": voice.sample_rate,
        "language": language,
        "text": spoken,
        **({"phones": phones} if phones else {}),
        **asdict(prosody),
    }
    canonical = json.dumps(inputs, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class _Speaker:
    """What all segments of a block share."""

    voice: Voice
    prosody: Prosody
    language: str
    phonemiser: str
    pauses: Mapping[str, int]
    lexicons: text.Lexicons

    def sentences(self, block: Block) -> list[text.Sentence]:
        own = [text.Reading(start, end, ipa=ipa) for start, end, ipa in block.phones]
        return text.sentences(
            block.text,
            self.language,
            SEGMENT_CHARACTERS,
            whole=block.whole,
            readings=text.merged(own, self.lexicons.find(block.text, self.language)),
        )

    def segments(self, block: Block, found: Sequence[text.Sentence]) -> Iterator[Segment]:
        pieces = [piece for piece in found if piece.spoken]
        for position, piece in enumerate(pieces, start=1):
            last = position == len(pieces)
            yield Segment(
                digest=digest(
                    piece.spoken,
                    self.voice,
                    self.prosody,
                    self.language,
                    self.phonemiser,
                    piece.phones,
                ),
                text=piece.spoken,
                voice=self.voice.id,
                prosody=self.prosody,
                language=self.language,
                pause_ms=self._last_pause(block) if last else self.pauses[piece.boundary],
                start=block.in_source(piece.start),
                end=block.in_source(piece.end),
                phones=piece.phones,
            )

    def _last_pause(self, block: Block) -> int:
        if block.pause_ms is not None:
            return block.pause_ms
        return self.pauses[block.ends or ("heading" if block.heading else "paragraph")]


def _speaker(block: Block, item: Item, spec: Spec, script: _Script) -> _Speaker:
    voice = spec.voices[block.voice or item.voice or spec.voice]
    usual = voice.language if block.voice else item.language or spec.language or voice.language
    return _Speaker(
        voice,
        block.prosody or item.prosody or spec.prosody,
        block.language or usual,
        script.phonemiser(voice.engine),
        {**PAUSES_MS, **spec.pauses},
        script.lexicons,
    )


@dataclass(frozen=True)
class _Script:
    """What says how a page's text is read."""

    phonemiser: Phonemiser
    lexicons: text.Lexicons


def plan(
    passages: Iterable[Passage],
    spec: Spec,
    phonemiser: Phonemiser,
    edits: Sequence[Edit] = (),
    lexicons: text.Lexicons = _NO_LEXICONS,
) -> Page:
    """Plan one page. An item that cannot be planned is a failure of its own.

    Each of `edits` changes one segment; those of items on other pages are passed over.
    """
    script = _Script(functools.cache(phonemiser), lexicons)
    parts: list[Part] = []
    failures: list[Failure] = []
    characters = 0
    for passage in passages:
        wanted = [edit for edit in edits if edit.item == passage.item.index]
        part = _part(passage, spec, script, wanted)
        if part.error:
            failures.append(Failure(part.item, "", part.error))
        characters += sum(len(segment.text) for segment in part.segments)
        parts.append(part)
    return Page(tuple(parts), _chunks(parts, spec), tuple(failures), characters)


def _part(passage: Passage, spec: Spec, script: _Script, edits: Sequence[Edit]) -> Part:
    item, error = passage.item, passage.item.error
    segments: list[Segment] = []
    lost: list[str] = []
    strange: list[str] = []
    if not error:
        try:
            for block in item.blocks:
                speaker = _speaker(block, item, spec, script)
                found = speaker.sentences(block)
                segments.extend(speaker.segments(block, found))
                lost.extend(piece.lost for piece in found if piece.lost)
                if scripts.foreign(block.text, speaker.language):
                    strange.append(block.text)
            for edit in edits:
                if _holds(passage, edit.start):
                    _edit(segments, edit, spec, script)
        except (JobError, EngineError) as problem:
            segments, error = [], str(problem)
    told = {"nothing that can be spoken": lost, "not in the script of its language": strange}
    warnings = tuple(counted(message, texts) for message, texts in told.items() if texts)
    return Part(item.index, tuple(segments), passage.number, passage.parts, error, warnings)


def check_edit(
    edit: Edit, language: str, lexicons: text.Lexicons = _NO_LEXICONS
) -> text.Spoken | None:
    """Return what an edit's text is spoken as, in the language of its segment; None: as it was.

    Raises:
        InvalidInput: the edit changes nothing, or its text cannot be spoken as one segment.
    """
    if edit.take < 0:
        raise InvalidInput(f"take {edit.take!r} is not valid: 1 or more, or 0 to leave it")
    if not edit.text:
        if not edit.take:
            raise InvalidInput("an edit that changes nothing: give it a text, a take, or both")
        return None
    words = _encodable(edit.text[: SEGMENT_CHARACTERS + 1])
    spoken = text.spoken(words, language, lexicons.find(words, language))
    if not spoken.text:
        raise InvalidInput("the edit has nothing to speak: give it words")
    longest = max(len(edit.text), len(spoken.text))
    if longest > SEGMENT_CHARACTERS:
        raise InvalidInput(
            f"the edit has {longest} characters as written or spoken; a segment holds "
            f"{SEGMENT_CHARACTERS}: shorten it"
        )
    return spoken


def _encodable(words: str) -> str:
    try:
        words.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"the edit holds half a character (at {error.start})") from error
    return words


def _holds(passage: Passage, start: int) -> bool:
    """Whether a position of an item's source is for this of its passages to find."""
    blocks = passage.item.blocks
    if not blocks:
        return True
    after = passage.number == 0 or blocks[0].start <= start
    last = passage.number == passage.parts - 1
    return after and (last or start < blocks[-1].in_source(len(blocks[-1].text)))


def _edit(segments: list[Segment], edit: Edit, spec: Spec, script: _Script) -> None:
    """Change the segment that an edit means; its span and its pause stay."""
    number = next((n for n, each in enumerate(segments) if each.start == edit.start), None)
    if number is None:
        raise InvalidInput(
            f"the edit at character {edit.start} of item {edit.item} meets no segment: the text or "
            "the front end is another one; take it back, or edit what is there now"
        )
    old = segments[number]
    spoken = check_edit(edit, old.language, script.lexicons) or text.Spoken(old.text, old.phones)
    prosody = replace(old.prosody, take=edit.take or old.prosody.take)
    voice = spec.voices[old.voice]
    phonemiser = script.phonemiser(voice.engine)
    name = digest(spoken.text, voice, prosody, old.language, phonemiser, spoken.phones)
    changed = replace(old, digest=name, text=spoken.text, phones=spoken.phones, prosody=prosody)
    segments[number] = changed


def _chunks(parts: list[Part], spec: Spec) -> dict[str, tuple[Chunk, ...]]:
    """Cut a page's segments in chunks, by family: one voice each, and of similar length.

    Speech that somebody waits for stays in reading order.
    """
    by_voice: dict[str, list[tuple[Segment, Part]]] = {}
    for part in parts:
        for segment in part.segments:
            by_voice.setdefault(segment.voice, []).append((segment, part))
    seconds = sum(map(batching.audio_seconds, (s for part in parts for s in part.segments)))
    chunks: dict[str, list[Chunk]] = {}
    for name, pairs in by_voice.items():
        voice = spec.voices[name]
        if spec.kind != "speech":
            pairs.sort(key=lambda pair: len(pair[0].text))
        queue = iter(pairs)
        for run in batching.chunk((segment for segment, _ in pairs), voice, seconds / PAGE_RUNS):
            held = [next(queue)[1] for _ in run]
            chunks.setdefault(voice.family, []).append(_chunk(name, run, held))
    return {family: tuple(rows) for family, rows in chunks.items()}


def _chunk(voice: str, segments: list[Segment], parts: list[Part]) -> Chunk:
    here: dict[int, int] = {}
    for part in parts:
        here[part.item] = here.get(part.item, 0) + 1
    shares = tuple(
        Share(part.item, here[part.item], len(part.segments), part.number, part.parts)
        for part in {part.item: part for part in parts}.values()
    )
    return Chunk(voice, tuple(segments), tuple(part.item for part in parts), shares)
