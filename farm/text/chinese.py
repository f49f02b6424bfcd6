"""What the normalising library gets wrong in Chinese, mended by a table before it runs.

`tests/text/normalise_zh.tsv` has a case for each rule.
"""

from __future__ import annotations

import re

#: Stands where the library would join two words into one number; it knows no such character.
_SHIELD = "\ue000"
_SQUARED = {"㎡": "平方米", "㎥": "立方米", "㎏": "千克", "㎝": "厘米", "㎞": "千米", "㎜": "毫米"}

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # The library counts 2 as it counts things: 两.
    (re.compile(r"(?<![\d.])2(?=[日号月])|(?<=第)2(?!\d)"), "二"),
    (re.compile(r"(?<=\d[%％℃])\s?[-–—~～]\s?(?=[-−]?\d)"), "到"),
    (re.compile(r"约(?=\d+/\d)"), f"约{_SHIELD}"),
    (re.compile(r"\+86[\s-]?(?=1\d{10}(?!\d))"), "加八六，"),
)


def before(text: str) -> str:
    """Mend a sentence before the library reads it."""
    for sign, word in _SQUARED.items():
        text = text.replace(sign, word)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def after(text: str) -> str:
    """Take out what `before` put in."""
    return text.replace(_SHIELD, "")
