"""What Azure's clients ask of batch synthesis, and the job that it becomes.

As in Microsoft's OpenAPI file of the Batch synthesis API (2024-04-01) and its page "Batch synthesis
properties". What the farm cannot honour is refused by name, never passed over.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from farm.api.azure.formats import FORMATS, USUAL
from farm.api.azure.records import LABEL, Asked, Definition
from farm.api.drafting import Wish
from farm.api.problems import TOLD, Problem
from farm.api.service import Service
from farm.errors import InvalidInput, blaming
from farm.jobs import Output, Prosody
from farm.reading import PITCHED
from farm.text import ssml
from farm.text.lines import LONGEST_LINE
from farm.text.prosody_values import changed

#: Texts of one synthesis.
MOST_INPUTS = 10_000
#: Hours after its end that a synthesis is kept: usually, and at most.
USUAL_HOURS, MOST_HOURS = 168, 744


def _format(name: str) -> str:
    if name and name not in FORMATS:
        valid = ", ".join(FORMATS)
        raise ValueError(f"{name[:TOLD]!r} is no format of the farm; choose one of {valid}")
    return name or USUAL


def _unhonoured(value: Any) -> Any:
    if value is None or value is False or value in ("", {}):
        return value
    raise ValueError("the farm does not honour this: leave it out")


def _any_case(*words: str) -> str:
    spelled = ("".join(f"[{c.upper()}{c.lower()}]" for c in word) for word in words)
    return f"^({'|'.join(spelled)})$"


FormatName = Annotated[
    str,
    AfterValidator(_format),
    WithJsonSchema({"type": "string", "enum": ["", *FORMATS]}),
]
_REFUSED = BeforeValidator(_unhonoured)
NoText = Annotated[Literal[""] | None, _REFUSED]
Nothing = Annotated[None, _REFUSED]
Change = Annotated[str, Field(max_length=40)]


class Body(BaseModel):
    """Part of a request."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, alias_generator=to_camel
    )


def _words(text: str) -> str:
    if not text.strip():
        raise ValueError("there is nothing in it to speak")
    return text


class Input(Body):
    """A text, plain or SSML; `text` is its older name."""

    content: Annotated[str, AfterValidator(_words)] = Field(
        validation_alias=AliasChoices("content", "text"),
        min_length=1,
        json_schema_extra={"pattern": r"\S"},
    )


class SynthesisConfig(Body):
    """How plain text is spoken. The values of `rate`, `pitch` and `volume` are those of SSML."""

    voice: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """The id of one of the farm's voices."""
    rate: Change | None = None
    pitch: Change | None = None
    volume: Change | Annotated[float, Field(ge=0, le=100)] | None = None
    style: NoText = None
    role: NoText = None
    speaker_profile_id: NoText = None
    style_degree: Nothing = None
    background_audio: Nothing = None


class Options(Body):
    """What is made of the texts."""

    time_to_live_in_hours: Annotated[int, Field(ge=1, le=MOST_HOURS)] | None = None
    """Hours after its end that the synthesis is kept; 168 where nothing is said."""
    output_format: FormatName | None = None
    concatenate_result: bool | None = None
    word_boundary_enabled: bool | None = None
    sentence_boundary_enabled: bool | None = None
    decompress_output_files: Annotated[Literal[False] | None, _REFUSED] = None
    destination_container_url: NoText = None
    destination_path: NoText = None

    def output(self) -> Output:
        """Return it as the farm has it; loudness stays as spoken, for `volume` to be heard."""
        made = FORMATS[self.output_format or USUAL]
        wanted = {
            "words": self.word_boundary_enabled,
            "sentences": self.sentence_boundary_enabled,
            "joined": self.concatenate_result,
        }
        return Output(
            made.format,
            "azure",
            loudness=None,
            sample_rate=made.sample_rate,
            bit_rate=made.bit_rate,
            options=tuple(option for option, wish in wanted.items() if wish),
        )


class NewSynthesis(Body):
    """A synthesis to be."""

    input_kind: Annotated[str, Field(pattern=_any_case("PlainText", "SSML"))]
    """`PlainText` or `SSML`."""
    inputs: Annotated[list[Input], Field(min_length=1, max_length=MOST_INPUTS)]
    synthesis_config: SynthesisConfig | None = None
    custom_voices: Annotated[dict[str, str], Field(max_length=0), _REFUSED] | None = None
    """Voices of the farm need no deployment: only an empty map is taken."""
    properties: Options | None = None
    description: Annotated[str, Field(max_length=1000)] | None = None

    @property
    def plain(self) -> bool:
        """Whether the inputs are plain text."""
        return self.input_kind.lower() == "plaintext"


def wished(held: Service, owner: str, body: NewSynthesis) -> tuple[Wish, bytes]:
    """Return the batch that a request asks for, and its lines.

    Raises:
        Problem: a value cannot be honoured.
        InvalidInput: no input can be read.
        UnknownVoice: the farm has no voice of that name for this owner.
    """
    options = body.properties or Options()
    voices = [_voice(body)] if body.plain else _voices(body.inputs)
    with blaming("synthesisConfig.voice" if body.plain else "inputs"):
        held.studio.pin(set(voices), owner)  # a voice that the farm lacks is refused at once
    hours = options.time_to_live_in_hours or USUAL_HOURS
    prosody = Prosody()
    if body.plain:
        prosody = _prosody(body.synthesis_config or SynthesisConfig())
        engine = held.studio.voices(owner)[voices[0]].engine
        if prosody.pitch and engine not in PITCHED:
            raise _refusal(
                "synthesisConfig.pitch", f"the voice {voices[0]!r} cannot change its pitch"
            )
    wish = Wish(
        "batch",
        voice=voices[0],
        title=(body.description or "")[:200],
        prosody=prosody,
        output=options.output(),
        labels={LABEL: _definition(body, options, hours)},
        ttl_s=hours * 3600,
        source="inputs",
    )
    return wish, _lines(body)


def _refusal(field: str, why: str) -> Problem:
    return Problem(400, "invalid-request", f"{field}: {why}", field=field)


def _voice(body: NewSynthesis) -> str:
    if body.synthesis_config is None or not body.synthesis_config.voice:
        raise _refusal("synthesisConfig.voice", "plain text needs a voice")
    return body.synthesis_config.voice


def _voices(inputs: list[Input]) -> list[str]:
    """Return the voices that SSML names; all of its text needs one. What cannot be read fails."""
    found: dict[str, None] = {}
    wrong: InvalidInput | None = None
    for number, each in enumerate(inputs):
        try:
            document = ssml.read(each.content)
        except InvalidInput as error:
            place = f"inputs.{number}.content"
            wrong = wrong or InvalidInput(f"{place}: {error}", field=place)
            continue
        if not document.voices or any(not block.voice for block in document.blocks):
            raise _refusal(
                f"inputs.{number}.content", "all text must stand in a <voice name='...'>"
            )
        found.update(dict.fromkeys(document.voices))
    if not found and wrong:
        raise wrong
    return list(found)


def _prosody(config: SynthesisConfig) -> Prosody:
    """Return how plain text is spoken, by the rules of SSML's `prosody`."""
    prosody = Prosody()
    for name in ("rate", "pitch", "volume"):
        value = getattr(config, name)
        if value is not None:
            text = f"{value:g}" if isinstance(value, float) else value
            change = changed(prosody, name, text, azure=True)
            if change.warnings:
                raise _refusal(f"synthesisConfig.{name}", change.warnings[0])
            prosody = change.prosody
    return prosody


def _lines(body: NewSynthesis) -> bytes:
    """Return the inputs as lines of a batch, numbered from 1; `\\r\\n` begins a paragraph."""
    rows = []
    for number, each in enumerate(body.inputs):
        text = (
            {"text": each.content.replace("\r\n", "\n\n")} if body.plain else {"ssml": each.content}
        )
        try:
            row = json.dumps({"id": f"{number + 1:04d}", **text}, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            why = "it holds half a character (a lone surrogate)"
            raise _refusal(f"inputs.{number}.content", why) from error
        if len(row) > LONGEST_LINE:
            raise _refusal(f"inputs.{number}.content", f"{len(row)} bytes: {LONGEST_LINE} at most")
        rows.append(row)
    return b"\n".join(rows)


def _definition(body: NewSynthesis, options: Options, hours: int) -> str:
    config = body.synthesis_config if body.plain else None
    shown = Definition(
        input_kind="PlainText" if body.plain else "SSML",
        description=body.description or None,
        synthesis_config=config.model_dump(by_alias=True, exclude_none=True) if config else None,
        properties=Asked(
            time_to_live_in_hours=hours,
            output_format=options.output_format or USUAL,
            concatenate_result=bool(options.concatenate_result),
            decompress_output_files=False,
            word_boundary_enabled=bool(options.word_boundary_enabled),
            sentence_boundary_enabled=bool(options.sentence_boundary_enabled),
        ),
    )
    return shown.model_dump_json(by_alias=True, exclude_none=True)
