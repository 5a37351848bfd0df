"""The page, built once for all tests that look at it."""

import pytest


@pytest.fixture(scope="session")
def quick():
    """Networks that are hardly trained, no pictures, and no proofs, which have their own tests."""
    from ddpm_np.companion import evidence, numbers, page
    from ddpm_np.proof import IDENTITIES, Proof
    from ddpm_np.proof.coverage import Coverage
    from ddpm_np.proof.errors import Worst
    from ddpm_np.proof.verify import Evidence

    proofs, covered = (Proof(IDENTITIES[0], 1),), {"forward.q_sample": Coverage(T={1, 2, 3})}
    known = Evidence("E6", proofs, {}, covered, {}, {"float64": Worst(1.5, 4.0)}, ())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "TRAINING_STEPS", 25)
        patch.setattr(evidence, "proofs", lambda: {"E6": known})
        patch.setattr(page, "_picture", lambda name: "data:,")
        numbers.learned.cache_clear()
        yield
    numbers.learned.cache_clear()


@pytest.fixture(scope="session")
def built(quick):
    """The page as it is now."""
    pytest.importorskip("math_core")
    pytest.importorskip("jinja2")
    from ddpm_np.companion.page import page

    return page()
