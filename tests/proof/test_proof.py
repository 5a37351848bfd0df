"""The identities of the derivation are proved, and none is without a function that it names.

Wrong functions are in tests/planted_bugs.txt.
"""

import pytest

from ddpm_np import forward, network, posterior, sampling
from ddpm_np.closed_form import ideal, reverse
from ddpm_np.proof import IDENTITIES, identities_of, prove

FAMILIES = {}
for _identity in IDENTITIES:
    FAMILIES.setdefault((_identity.statement, _identity.equations), []).append(_identity)


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, marks=[getattr(pytest.mark, e) for e in equations], id=family[0].name)
        for (_, equations), family in FAMILIES.items()
    ],
)
def test_identities_are_proved(family, pytestconfig):
    """Of a large family some ten, in the long form all."""
    every = 1 if pytestconfig.getoption("--long") else 1 + len(family) // 10
    for identity in family[::every]:
        proof = prove(identity)
        assert proof.proved and proof.equal > 0, proof


def test_names_are_unique_and_every_equation_of_the_derivation_is_there():
    assert len({i.name for i in IDENTITIES}) == len(IDENTITIES)
    proved = {e for i in IDENTITIES for e in i.equations}
    proved |= {f"E{n}" for n in range(1, 34) if next(identities_of(f"E{n}"), None)}
    assert proved >= {f"E{n}" for n in [*range(1, 16), 17, 18, *range(24, 28)]}


@pytest.mark.parametrize(
    ("equation", "owner", "name"),
    [
        ("E15", network.MLP, "backward"),
        ("E15", network.MLP, "forward"),
        ("E26", reverse, "reverse_kernel"),
        ("E25", ideal, "optimal_loss"),
        ("E25", ideal, "optimal_variance"),
        ("E24", ideal, "IdealDenoiser"),
        ("E6", forward, "q_sample"),
        ("E10", posterior, "psi_2"),
        ("E18", sampling, "ddim_step"),
    ],
)
def test_a_missing_function_leaves_an_identity_unproved(equation, owner, name, monkeypatch):
    monkeypatch.setattr(owner, name, None)
    failures = (prove(i).failure for i in identities_of(equation))
    assert any("None" in failure or "no equation" in failure for failure in failures)
