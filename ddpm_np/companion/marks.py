"""A correction inside the printed formula, at the very term: what goes is red, what comes is green.

The corrected part is put into the printed LaTeX in the place of the wrong one (:func:`replaced`);
both are typeset, and the two trees become one (:func:`marked`), in which only what differs is told
apart. Differences of spelling that nobody sees (braces, a dot for a product) are none.
"""

import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from html import unescape
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[^\s\\]")
_UNSEEN = set(r"\cdot \left \right \, \; \quad { } & \mathrm \mathcal \mathbb \mathbf".split())
_SPELLED = {r"\mid": "|", r"\vert": "|", r"\lVert": r"\Vert", r"\rVert": r"\Vert"}
_FUNCTIONS = (r"\exp", r"\ln", r"\log", r"\lim")
ALIKE = 0.5  # less in common than this, and the whole goes
_BREAKS = ("=", "≤", "+", "−", "→", "∼", "≈", ":=", ",")
_ROWS = ("math", "mrow", "msqrt", "mtd", "mstyle", "mtable", "mtr")


def replaced(printed: str, old: str, new: str) -> str | None:
    """The printed LaTeX with ``new`` in the place of ``old``; None where old does not stand there.

    >>> replaced(r"f = \\frac{a + b}{c}", "a+b", "a-b")
    'f = \\\\frac{a-b}{c}'
    """
    tokens, sought = list(_tokens(printed)), [text for text, _, _ in _tokens(old)]
    for i in range(len(tokens) - len(sought) + 1):
        if sought and [text for text, _, _ in tokens[i : i + len(sought)]] == sought:
            start, end = tokens[i][1], tokens[i + len(sought) - 1][2]
            while printed[start:end].count("{") > printed[start:end].count("}"):
                end = printed.index("}", end) + 1
            while printed[start:end].count("{") < printed[start:end].count("}"):
                start = printed.rindex("{", 0, start)
                start -= len(re.findall(r"(\\[a-z]+)?$", printed[:start])[0])
            return printed[:start] + new + printed[end:]
    return None


def _tokens(latex: str) -> Iterator[tuple[str, int, int]]:
    """What is seen of a formula, with where it starts and ends."""
    for match in _TOKEN.finditer(latex):
        text = _SPELLED.get(match[0], match[0])
        if text not in _UNSEEN:
            letters = text[1:] if text in _FUNCTIONS else [text]
            yield from ((letter, match.start(), match.end()) for letter in letters)


def marked(before: str, after: str) -> str:
    """Two formulas in MathML as one, what differs in ``<mrow class="gone">`` and "new"."""
    tree = _merged(_tree(before), _tree(after))
    return ElementTree.tostring(tree, encoding="unicode")


def broken(mathml: str) -> str:
    """A long formula as several, cut before the signs outside of all parentheses, so that a narrow
    window can break it there."""
    tree, depth = _tree(mathml), 0
    chunks: list[list[Element]] = [[]]
    for part in _parts(tree):
        key = _key(part)
        if chunks[-1] and not depth and key in _BREAKS and len(chunks[-1]) > 3:
            chunks.append([])
        depth += key.count("(") - key.count(")") if part.tag == "mo" else _open(part)
        chunks[-1].append(part)
    written = []
    for chunk in chunks:
        row = Element("math", tree.attrib)
        row.extend(chunk)
        written.append(ElementTree.tostring(row, encoding="unicode"))
    return "".join(written)


def _open(element: Element) -> int:
    """How many parentheses an element opens: a closing one may carry the exponent."""
    text = "".join(element.itertext())
    return 0 if element.tag == "mfrac" else text.count("(") - text.count(")")


def _tree(mathml: str) -> Element:
    """The tree of MathML as HTML has it, with more names of characters than XML knows."""
    return ElementTree.fromstring(
        re.sub(r"&(?!(?:amp|lt|gt|quot);)\w+;", lambda name: unescape(name[0]), mathml)
    )


def _merged(old: Element, new: Element) -> Element:
    result = Element(old.tag, dict(old.attrib))
    result.text = old.text
    ours, theirs = _parts(old), _parts(new)
    if old.tag not in _ROWS:  # a fraction or a power: each part has its place
        result.extend(_one(_changed([a], [b])) for a, b in zip(ours, theirs))
        return result
    keys, others = ([_key(x) or "unseen" for x in parts] for parts in (ours, theirs))
    matcher = SequenceMatcher(None, keys, others, False)
    if matcher.ratio() < ALIKE:
        result.extend(_changed(ours, theirs))
        return result
    for kind, a, b, c, d in matcher.get_opcodes():
        result.extend(ours[a:b] if kind == "equal" else _changed(ours[a:b], theirs[c:d]))
    return result


def _changed(ours: list[Element], theirs: list[Element]) -> list[Element]:
    """Elements in the place of others: those that are alike are merged, the others go and come."""
    for i, one in enumerate(ours):
        for j, other in enumerate(theirs):
            if _key(one) == _key(other) or _alike(one, other):
                middle = one if _key(one) == _key(other) else _merged(one, other)
                before = _changed(ours[:i], theirs[:j])
                return [*before, middle, *_changed(ours[i + 1 :], theirs[j + 1 :])]
    return [*_wrapped("gone", ours), *_wrapped("new", theirs)]


def _alike(one: Element, other: Element) -> bool:
    """Whether two elements can be merged: of one kind, with room for each other's parts."""
    room = one.tag in _ROWS or len(one) == len(other)
    if one.tag != other.tag or not len(one) or not room:
        return False
    return SequenceMatcher(None, _key(one), _key(other), False).ratio() >= ALIKE


def _one(elements: list[Element]) -> Element:
    """Several elements where there is room for one."""
    if len(elements) == 1:
        return elements[0]
    row = Element("mrow")
    row.extend(elements)
    return row


def _wrapped(name: str, elements: list[Element]) -> Iterable[Element]:
    """Elements that go or come; rows and cells of a table carry the class themselves."""
    if not any(map(_key, elements)):  # a dot or a space, which is no correction
        return elements if name == "gone" else []
    if elements[0].tag in ("mtr", "mtd"):
        for element in elements:
            element.set("class", name)
        return elements
    row = Element("mrow", {"class": name})
    row.extend(elements)
    return [row]


def _parts(element: Element) -> list[Element]:
    """The children, with groups that show nothing of their own opened."""
    if element.tag not in _ROWS:
        return list(element)
    found: list[Element] = []
    for child in element:
        found += _parts(child) if child.tag == "mrow" and not child.attrib else [child]
    return found


def _key(element: Element) -> str:
    """What is seen of an element, as text; nothing of a dot or a space."""
    text = (element.text or "").strip()
    if element.tag == "mspace" or text in ("⋅", "\u2063", "\u2061"):
        return ""
    inside = "".join(map(_key, _parts(element)))
    text = {"∣": "|", "∥": "‖"}.get(text, text)
    return (
        text + inside
        if element.tag in ("mrow", "mi", "mo", "mn", "mtext")
        else (f"<{element.tag} {inside}{text}>")
    )
