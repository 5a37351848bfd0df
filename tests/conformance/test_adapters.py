"""adapt: other names, other forms of time, models and noise within; and the command line."""

import sys
from pathlib import Path

import numpy as np
import pytest
from small_code import OneBased, SmallCode

from ddpm_np.cli import main
from ddpm_np.conformance import adapt, check_diffusion
from ddpm_np.schedule import Schedule

BETAS = Schedule.linear(12).beta[1:]


def verdicts(subject, **how):
    report = check_diffusion(adapt(subject, **how), on_fail=None)
    return {row.equation: row.verdict for row in report.rows if row.fails}, report


class Images:
    """Arrays (n, dim, 1, 1) only."""

    def __init__(self):
        self.inner, self.betas = SmallCode(BETAS), BETAS

    def q_sample(self, x0, t, eps):
        assert x0.ndim == 4
        return self.inner.q_sample(x0, t, eps)


def test_axes_for_images_and_a_name():
    failing, report = verdicts(Images(), axes=2, name="theirs")
    assert not failing and report.name == "theirs" and len(report.rows) == 2


def test_the_padded_entry_can_be_overruled():
    code = SmallCode(BETAS)
    code.from_betas = None
    failing, _ = verdicts(code, first_step=0)
    assert not failing
    late = OneBased(BETAS)
    late.from_betas = None
    wrong, report = verdicts(late, first_step=0)
    assert wrong and any(
        "t off by one" in r.diagnosis or r.verdict == "raises" for r in report.failures
    )


def test_other_parameter_names_go_by_position():
    def loss(self, ours, theirs):
        return ((ours - theirs) ** 2).mean()

    failing, report = verdicts(type("Named", (), {"betas": BETAS, "loss": loss})())
    assert not failing and report.rows[0].equation == "E15"


def test_a_subject_is_returned_as_it_is():
    subject = SmallCode(BETAS)
    assert adapt(subject) is subject


def test_what_predicts_something_else_is_refused():
    made = Images()
    made.objective = "pred_flow"
    with pytest.raises(
        TypeError, match="must be set to predict eps, x_0 or v, is set to pred_flow"
    ):
        adapt(made)
    with pytest.raises(ValueError, match="first_step must be 0 or 1"):
        adapt(made, first_step=3)


def test_a_schedule_without_operations_is_refused_in_one_line():
    with pytest.raises(TypeError, match="no operation is recognised in Bare"):
        adapt(type("Bare", (), {"betas": BETAS})())


def test_a_torch_module_with_buffers_is_recognised():
    torch = pytest.importorskip("torch")

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = SmallCode(torch.tensor(BETAS.tolist()))
            self.register_buffer("betas", self.inner.betas)
            self.model = torch.nn.Linear(1, 1)

        def q_sample(self, x_start, t, noise):
            rows = [self.inner.q_sample(*row) for row in zip(x_start, t.tolist(), noise)]
            return torch.stack(rows)

        def p_sample(self, x, t):
            eps = self.model(x, t)
            z = torch.randn_like(x) if t > 0 else 0.0
            return self.inner.reverse_step(x, t, eps, z), None

    failing, report = verdicts(Module())
    assert not failing and len(report.rows) == 5, report


# ---- the command line ---------------------------------------------------------------------------


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "theirs.py").write_text(
        "import numpy as np\n"
        "class Good:\n"
        "    betas = np.linspace(0.01, 0.2, 10)\n"
        "    def q_sample(self, x_0, t, noise):\n"
        "        bar = np.cumprod(1 - self.betas)[t]\n"
        "        return np.sqrt(bar) * x_0 + np.sqrt(1 - bar) * noise\n"
        "class Bad(Good):\n"
        "    def q_sample(self, x_0, t, noise):\n"
        "        return super().q_sample(x_0, t, -noise)\n"
        "class Needs(Good):\n"
        "    def __init__(self, T): pass\n"
        "good, number = Good(), 3\n"
    )
    (tmp_path / "broken.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield
    for name in ("theirs", "broken"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("file", ["theirs.py", "./theirs.py", "./theirs"])
def test_a_file_will_do_for_a_module(module, capsys, file):
    assert main(["check", f"{file}:Good"]) == 0 and main(["check", f"{file}:Bad"]) == 1
    assert main(["check", "./nowhere.py:Good"]) == 2
    assert "there is no file nowhere.py" in capsys.readouterr().err


def test_the_working_directory_is_searched_first(module, tmp_path, monkeypatch, capsys):
    (tmp_path / "other").mkdir()
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(tmp_path))])
    monkeypatch.syspath_prepend(str(tmp_path / "other"))
    (tmp_path / "other" / "theirs.py").write_text("")
    assert main(["check", "theirs:Good"]) == 0 and sys.path[0] == ""
    assert main(["check", "theirs:Good"]) == 0 and sys.path.count("") == 1


def test_code_that_exits_does_not_end_the_check(module, capsys):
    Path("leaves.py").write_text("import sys\nsys.exit(0)\n")
    assert main(["check", "leaves.py:x"]) == 2
    assert "cannot be imported: SystemExit: 0" in capsys.readouterr().err


def test_a_cancelled_step_is_one_line(module, capsys):
    Path("cancelled.py").write_text(
        "import asyncio\nfrom theirs import Good\nclass Mine(Good):\n"
        "    def q_sample(self, x_0, t, noise): raise asyncio.CancelledError('late')\n"
        "class Never(Good):\n    def __init__(self): raise asyncio.CancelledError('early')\n"
    )
    assert main(["check", "cancelled.py:Mine"]) == 1
    out, err = capsys.readouterr()
    assert out.count("raises ") == 1 and "CancelledError: late (10 of 10 steps)" in out and not err
    assert main(["check", "cancelled.py:Never"]) == 2
    out, err = capsys.readouterr()
    assert not out and "without arguments: CancelledError: early" in err and err.count("\n") == 1


def test_tables_alone_do_not_pass(module, capsys):
    Path("bare.py").write_text(
        "class Bare:\n    betas, alphas_cumprod = [0.5, 0.5], [0.5, 0.25]\n"
        "    def p_sample(self, x, t, guidance): return x\n"
    )
    assert main(["check", "bare.py:Bare"]) == 1
    out = capsys.readouterr().out
    assert "no operation was compared" in out and "p_sample: parameter guidance not known" in out


@pytest.mark.parametrize("steps", [None, 10])
def test_the_object_is_left_as_it_was(steps):
    torch, diffusers = pytest.importorskip("torch"), pytest.importorskip("diffusers")
    made = diffusers.DDIMScheduler(num_train_timesteps=40, clip_sample=False)
    if steps:
        made.set_timesteps(steps)
    before, random = dict(vars(made)), torch.random.get_rng_state()
    check_diffusion(made)
    assert vars(made).keys() == before.keys() and made.num_inference_steps == steps
    assert all(vars(made)[name] is value for name, value in before.items())
    assert torch.equal(torch.random.get_rng_state(), random)


def test_every_generator_and_every_place_is_put_back():
    torch = pytest.importorskip("torch")
    own = {"numpy": np.random.default_rng(0), "torch": torch.Generator().manual_seed(1)}

    class Restless(SmallCode):
        from_betas, count = None, 0
        held = (np.random.default_rng(2), [np.random.RandomState(3)])

        def q_sample(self, x_0, t, noise):
            own["numpy"].bytes(1), self.held[0].bytes(1), self.held[1][0].randint(2)
            torch.rand(1, generator=own["torch"]), torch.rand(1), np.random.bytes(1)  # noqa: NPY002
            type(self).count, type(self).last, self.more = self.count + 1, t, t
            return super().q_sample(x_0, t, noise)

    def state():
        numbers = [own["numpy"], Restless.held[0]]
        found = [str(rng.bit_generator.state) for rng in numbers]
        found += [str(Restless.held[1][0].get_state()), str(np.random.get_state())]  # noqa: NPY002
        return [*found, own["torch"].get_state().tolist(), torch.random.get_rng_state().tolist()]

    made = Restless(BETAS)
    before, values = state(), dict(vars(made))
    assert check_diffusion(made).passed
    assert state() == before and Restless.count == 0 and not hasattr(Restless, "last")
    assert vars(made).keys() == values.keys()
    assert all(vars(made)[name] is value for name, value in values.items())


@pytest.mark.parametrize("name, code", [("Good", 0), ("good", 0), ("Bad", 1)])
def test_check_reports_with_its_exit_code(module, capsys, name, code):
    assert main(["check", f"theirs:{name}"]) == code
    out, err = capsys.readouterr()
    assert "E6" in out and err == "" and ("the sign is turned" in out) == (code == 1)


def test_check_prints_markdown(module, capsys):
    assert main(["check", "theirs:good", "--markdown"]) == 0
    assert "| E6 | q_sample | x_0 | holds |" in capsys.readouterr().out


@pytest.mark.parametrize(
    "path, words",
    [
        ("theirs", "must be module:object, got 'theirs'"),
        (":x", "must be module:object"),
        ("nowhere:x", "nowhere cannot be imported: ModuleNotFoundError"),
        ("broken:x", "broken cannot be imported: ZeroDivisionError"),
        ("theirs:x", "theirs has no x"),
        ("theirs:number", "nothing is recognised in int"),
        ("theirs:np", "nothing is recognised in module"),
        ("theirs:Needs", "cannot be built without arguments: TypeError"),
    ],
)
def test_no_such_subject_is_one_line(module, capsys, path, words):
    assert main(["check", path]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1
