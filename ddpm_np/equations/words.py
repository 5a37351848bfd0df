"""One text in the two languages of the package: English, and the Chinese of the notes."""

from typing import NamedTuple

LANGUAGES = ("en", "zh")


class Words(NamedTuple):
    """One text in English and in Chinese. A formula reads the same in both."""

    en: str
    zh: str

    def in_(self, language: str) -> str:
        """The text in "en" or "zh"; ValueError for another language.

        >>> Words("noise", "噪声").in_("zh")
        '噪声'
        """
        if language not in LANGUAGES:
            raise ValueError(f"language must be one of {', '.join(LANGUAGES)}, got {language!r}")
        return self.zh if language == "zh" else self.en
