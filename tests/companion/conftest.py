"""The page, built once for all tests that look at it."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def built() -> str:
    """The page as it is now; the proofs, which have tests of their own, are left out."""
    pytest.importorskip("math_core")
    pytest.importorskip("jinja2")
    from ddpm_np.companion import content
    from ddpm_np.companion.page import page

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            content,
            "_proofs",
            lambda: {
                "E6": content.Known(
                    ("one statement",), {"forward.q_sample": "t = 1, 2, 3"}, (1.5, 4.0)
                )
            },
        )
        return page()
