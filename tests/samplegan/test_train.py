"""Training: progress on disk, exact resumption, clean stops, clear refusals."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from samplegan import store, synth
from samplegan.dataset import split_by_kit
from samplegan.descriptors import describe
from samplegan.errors import ConfigError, InputError, MachineError, SampleganError, Stopped
from samplegan.gan import ARCHITECTURES, body_players
from samplegan.gan.body_players import BodyPlayers
from samplegan.gan.players import Players, Validation
from samplegan.gates import fingerprint
from samplegan.train import MOST_RETURNS, _Sitting, pick_device, train

PACK = """
category: kick
length_seconds: 0.2
sources: [{synth: kick, count: 40}]
image: {name: IMAGE, bands: 32, frames: 16, linear_bins: 8, dense_frames: 4, partials: 1}
training:
  architecture: ARCHITECTURE
  steps: 12
  batch: 8
  generator_width: 4
  discriminator_width: 4
  checkpoint_seconds: 0.0
  encoder_width: 4
  code_dim: 8
  principal_components: 8
  principal_steps: 4
  game_from_step: 2
  latent_dim: 8
  control_sounds: 0
"""
IMAGES = {"body-gan": "body", "stereo-dcgan": "compact"}
LATENTS = {"body-gan": 3 + 8 + 10, "stereo-dcgan": 8}  # choices, code, weights of residuals


synthesise = functools.cache(synth.synthesise)  # nearly half of the time of so short a training


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMPLEGAN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("samplegan.synth.synthesise", synthesise)


def pack_of(tmp_path, architecture="body-gan", **training):
    folder = tmp_path / "tiny"
    folder.mkdir()
    text = PACK.replace("ARCHITECTURE", architecture).replace("IMAGE", IMAGES[architecture])
    text += "".join(f"  {key}: {value}\n" for key, value in training.items())
    (folder / "pack.yaml").write_text(text)
    return folder


@pytest.fixture
def pack(tmp_path):
    return pack_of(tmp_path)


every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES)


def weights(name):
    return store.find_model(name).read_bytes()


@every_architecture
def test_a_run_leaves_a_model_a_card_a_log_and_pictures(tmp_path, architecture):
    result = train(pack_of(tmp_path, architecture), quiet=True, threads=1)
    assert result.name == "kick"
    assert result.steps == 12
    model = store.load_model("kick")
    assert model.card["data"]["licences"] == {"synthesised": 40}
    assert model.architecture == architecture
    assert model.latent_dim == LATENTS[architecture]
    images = model.images(np.zeros((1, model.latent_dim), dtype=np.float32))
    assert images.shape == ((1, 3, 33, 16) if architecture == "body-gan" else (1, 2, 32, 16))
    assert np.isfinite(model.representation.synthesise(images[0])).all()
    assert "held-out MMD" in result.model_path.with_suffix(".md").read_text()
    assert [p.suffix for p in (result.run_folder / "previews").iterdir()] == [".png"]
    log = [json.loads(line) for line in (result.run_folder / "log.jsonl").read_text().splitlines()]
    assert all(entry["step"] <= 12 for entry in log)
    assert "samplegan render kick" in result.summary()


def checkpoint_of(name):
    return store.runs_folder() / name / "checkpoint.safetensors"


def assert_same_tensors(one, other):
    first, second = safetensors.torch.load(one), safetensors.torch.load(other)
    assert first.keys() == second.keys()
    for key, tensor in first.items():
        assert torch.equal(tensor, second[key]), key


@every_architecture
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path, architecture):
    """Its model, and all that the next step hangs on: both networks, their optimisers, the codes of the sounds."""
    pack = pack_of(tmp_path, architecture, validate_steps=4)
    train(pack, name="whole", quiet=True, threads=1)
    train(pack, name="halves", steps=5, quiet=True, threads=1)
    half = checkpoint_of("halves").read_bytes()
    train(pack, name="halves", steps=12, resume=True, quiet=True, threads=1)
    assert half != checkpoint_of("halves").read_bytes()
    assert_same_tensors(weights("whole"), weights("halves"))
    assert_same_tensors(*(checkpoint_of(name).read_bytes() for name in ("whole", "halves")))


def log_of(name):
    lines = (store.runs_folder() / name / "log.jsonl").read_text().splitlines()
    return [json.loads(line) | {"seconds": None} for line in lines]


def test_every_line_of_the_log_has_all_terms_also_after_resuming(pack, monkeypatch):
    """The game is played at every other step: at the one before the last line, after the stop."""
    monkeypatch.setattr("samplegan.train.LOG_EVERY_STEPS", 5)
    train(pack, name="whole", quiet=True, threads=1)
    train(pack, name="halves", steps=9, quiet=True, threads=1)
    train(pack, name="halves", steps=12, resume=True, quiet=True, threads=1)
    terms = [entry for entry in log_of("whole") if "images" in entry]
    assert [entry["step"] for entry in terms] == [5, 10]
    assert terms[0].keys() == terms[1].keys() > {"reconstruction", "generator", "feature_matching"}
    assert all(terms[0][key] != terms[1][key] for key in ("reconstruction", "generator"))
    assert [entry for entry in log_of("halves") if "images" in entry] == terms


# --- the best model


def scored(monkeypatch, *scores):
    """Validations that score this much, one after the other; a list of how many there were."""
    seen, truth = [], Players.validate

    def validate(players):
        validation = truth(players)
        seen.append(scores[len(seen)])
        known = {"held_out_mmd": seen[-1], "held_out_mmd_of_training": 0.0}
        known |= {"held_out_coverage": 1.0, "held_out_coverage_of_training": 0.5}
        return Validation(validation.held_out, validation.generated, known)

    monkeypatch.setattr(Players, "validate", validate)
    return seen


def steps_of(name="kick"):
    return store.load_model(name).card["steps"]


def test_the_best_model_is_kept_when_a_later_one_is_worse(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        seen = scored(patch, 3.0, 1.0, 2.0, 1.0)
        result = train(pack_of(tmp_path, validate_steps=3), quiet=True, threads=1)
    assert result.steps == 12 and len(seen) == 4
    assert steps_of() == 6
    assert store.load_model("kick").card["metrics"]["held_out_mmd"] == 1.0
    # The model is that of a run which ended there.
    train(tmp_path / "tiny", name="short", steps=6, quiet=True, threads=1)
    assert_same_tensors(weights("kick"), weights("short"))


def score_of(mmd, coverage, sounds=5000):
    """Of a validation whose training sounds reach an MMD of 0.1 and a coverage of 0.8."""
    held_out = generated = np.zeros((sounds, 2, 1, 1), dtype=np.float32)
    scores = {"held_out_mmd_of_training": 0.1, "held_out_coverage_of_training": 0.8}
    scores |= {"held_out_mmd": mmd, "held_out_coverage": coverage}
    return Validation(held_out, generated, scores).score


def test_a_model_is_judged_by_what_training_sounds_do_not_miss():
    assert score_of(0.3, 0.8) > score_of(0.2, 0.8) > score_of(0.11, 0.8) == 0.0
    assert score_of(0.1, 0.4) > score_of(0.1, 0.6) > score_of(0.1, 0.73) == 0.0
    assert (
        score_of(0.113, 0.8) > score_of(0.113, 0.8, sounds=100) == 0.0
    )  # what so few differ by may be chance
    # Nearer than training sounds are is no better: held-out kits are other kits.
    assert score_of(0.02, 0.95) == 0.0


def test_of_models_as_near_as_can_be_asked_the_latest_is_kept(tmp_path, monkeypatch):
    scored(monkeypatch, 3.0, 0.0, 0.0, 1.0)
    train(pack_of(tmp_path, validate_steps=3), quiet=True, threads=1)
    assert steps_of() == 9


def test_training_stops_after_patience(tmp_path, monkeypatch):
    pack = pack_of(tmp_path, validate_steps=2, patience=2)
    seen = scored(monkeypatch, 3.0, 2.0, 2.0, 2.5)
    result = train(pack, steps=1000, quiet=True, threads=1)
    assert seen == [3.0, 2.0, 2.0, 2.5]
    assert result.steps == 8
    assert steps_of() == 4
    # Going on with it is in vain too, until the settings change.
    before = weights("kick")
    assert train(pack, steps=1000, resume=True, quiet=True, threads=1).steps == 8
    assert weights("kick") == before and len(seen) == 4


def test_patience_is_counted_from_the_last_better_model(tmp_path, monkeypatch):
    scored(monkeypatch, 3.0, 4.0, 2.0, 4.0, 1.0, 4.0)
    result = train(pack_of(tmp_path, validate_steps=2, patience=2), quiet=True, threads=1)
    assert result.steps == 12 and steps_of() == 10


def test_a_model_that_has_hardly_learned_is_kept_until_there_is_one_that_has(tmp_path, monkeypatch):
    """A vague model may be nearer to held-out kits than its training sounds are: that is no merit of it."""
    scored(monkeypatch, 0.0, 3.0, 0.0, 5.0, 6.0, 7.0)  # steps 2, 4, 6; from 8 on they count
    pack = pack_of(tmp_path, validate_steps=2, game_from_step=4)
    train(pack, steps=6, quiet=True, threads=1)
    assert steps_of() == 6
    result = train(pack, resume=True, quiet=True, threads=1)
    assert result.steps == 12 and steps_of() == 8


def test_what_cannot_be_better_does_not_train_for_ever(tmp_path, monkeypatch):
    scored(monkeypatch, 3.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    result = train(pack_of(tmp_path, validate_steps=2, patience=3), quiet=True, threads=1)
    assert result.steps == 10 and steps_of() == 10
    assert "the last 3 looks at held-out sounds found nothing better" in result.summary()


def test_a_look_at_where_a_run_was_stopped_is_no_part_of_it(tmp_path, monkeypatch):
    """The run that never stopped does not look there, and must end with the same model and the same patience."""
    pack = pack_of(tmp_path, validate_steps=4)
    with monkeypatch.context() as patch:
        scored(patch, 3.0, 1.0, 2.0, 2.5)  # steps 4, 6 (stopped), 8, 12
        train(pack, steps=6, quiet=True, threads=1)
        assert steps_of() == 6  # the best so far: it may be all there will ever be
        train(pack, steps=12, resume=True, quiet=True, threads=1)
        assert steps_of() == 8
    with monkeypatch.context() as patch:
        scored(patch, 3.0, 2.0, 2.5)
        train(pack, name="whole", quiet=True, threads=1)
    assert_same_tensors(weights("kick"), weights("whole"))
    first, second = (
        json.loads(safetensors.safe_open(checkpoint_of(name), "pt").metadata()["samplegan"])["best"]
        for name in ("kick", "whole")
    )
    assert first == second


# --- seeds, processes and signals


def test_the_seed_decides_everything(pack):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        train(pack, name=name, seed=seed, steps=3, quiet=True, threads=1)
    one, same, other = (safetensors.torch.load(weights(name)) for name in "abc")
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


def run_in_background(pack, home):
    code = (
        "import sys; from pathlib import Path; from samplegan.train import train\n"
        "from samplegan.errors import Stopped\n"
        "try: train(Path(sys.argv[1]), name='job', steps=10**6, quiet=True, threads=1)\n"
        "except Stopped as stopped: print(stopped); sys.exit(stopped.exit_code)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(pack)],
        env=os.environ | {"SAMPLEGAN_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < until, f"{path} never appeared"
        time.sleep(0.05)


def test_two_processes_do_not_train_one_run(pack, tmp_path):
    job = run_in_background(pack, tmp_path / "home")
    wait_for(tmp_path / "home/runs/job/checkpoint.safetensors")
    with pytest.raises(MachineError, match="another samplegan is training"):
        train(pack, name="job", overwrite=True, quiet=True, threads=1)
    job.kill()
    job.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_stops_with_a_usable_model(pack, tmp_path, number, code):
    job = run_in_background(pack, tmp_path / "home")
    wait_for(tmp_path / "home/runs/job/checkpoint.safetensors")
    job.send_signal(number)
    output, _ = job.communicate(timeout=60)
    assert job.returncode == code
    assert "everything is saved" in output
    assert store.load_model("job").card["steps"] > 0


def interrupting(truth, call):
    """The same function, but at its call of this number somebody presses Ctrl-C; and its calls so far."""
    heard = []

    def interrupted(*arguments):
        heard.append(arguments)
        if len(heard) == call:
            os.kill(os.getpid(), signal.SIGINT)
        return truth(*arguments)

    return interrupted, heard


def test_a_signal_before_the_first_step_stops_at_once_and_the_same_command_starts_again(pack, monkeypatch):
    interrupted, heard = interrupting(body_players.divergence, 2)
    with monkeypatch.context() as patch:
        patch.setattr(body_players, "divergence", interrupted)
        with pytest.raises(Stopped, match="before training began") as caught:
            train(pack, quiet=True, threads=1)
    assert len(heard) == 2  # of four
    assert caught.value.exit_code == 130 and "starts again" in caught.value.hint
    assert not checkpoint_of("kick").exists()
    train(pack, steps=2, quiet=True, threads=1)
    assert store.load_model("kick").generator.principal.basis.any()


@pytest.mark.parametrize("stopped_before", [False, True])
@pytest.mark.parametrize("what", ["controls", "fingerprints"])
def test_a_signal_while_a_model_is_completed_leaves_the_plain_one(
    tmp_path, monkeypatch, capsys, what, stopped_before
):
    pack = pack_of(tmp_path, steps=2, control_sounds=100)
    place = "samplegan.steering.describe" if what == "controls" else "samplegan.gates.fingerprint"
    interrupted, heard = interrupting(describe if what == "controls" else fingerprint, 3)
    if what == "fingerprints":
        monkeypatch.setattr("samplegan.publish.Directions.of_model", lambda *_, **__: None)

    with monkeypatch.context() as patch:
        patch.setattr(place, interrupted)
        if stopped_before:
            patch.setattr(_Sitting, "_show", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(Stopped, match="has not learned its controls") as caught:
            train(pack, threads=1)
    assert ("unless stopped again" in capsys.readouterr().err) == stopped_before
    assert caught.value.exit_code == 130
    assert "--resume completes it" in caught.value.hint
    assert len(heard) < (100 if what == "controls" else 32 + 8)
    plain = store.load_model("kick")
    assert plain.directions is None and plain.fingerprints is None
    assert plain.card["steps"] == (1 if stopped_before else 2)
    assert store.find_model("kick").with_suffix(".md").is_file()
    if what == "controls" and not stopped_before:
        train(pack, resume=True, quiet=True, threads=1)
        complete = store.load_model("kick")
        assert complete.directions is not None and complete.fingerprints is not None
        assert torch.equal(plain.generator.anchors, complete.generator.anchors)


def test_a_killed_run_resumes_to_the_same_weights(pack, tmp_path):
    job = run_in_background(pack, tmp_path / "home")
    checkpoint = tmp_path / "home/runs/job/checkpoint.safetensors"
    wait_for(checkpoint)
    time.sleep(0.3)
    job.kill()
    job.wait()
    done = json.loads(safetensors.safe_open(checkpoint, "pt").metadata()["samplegan"])["step"]
    train(pack, name="job", steps=done + 3, resume=True, quiet=True, threads=1)
    train(pack, name="whole", steps=done + 3, quiet=True, threads=1)
    first, second = (safetensors.torch.load(weights(name)) for name in ("job", "whole"))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_minutes_are_kept(pack):
    began = time.monotonic()
    result = train(pack, minutes=0.03, quiet=True, threads=1)
    assert result.steps > 0
    assert time.monotonic() - began < 60


def test_what_exists_is_not_overwritten(pack):
    train(pack, steps=2, quiet=True, threads=1)
    before = weights("kick")
    with pytest.raises(ConfigError, match="exists already"):
        train(pack, steps=3, quiet=True, threads=1)
    assert weights("kick") == before
    train(pack, steps=3, overwrite=True, quiet=True, threads=1)
    assert weights("kick") != before


def test_resuming_with_other_settings_or_nothing_is_refused(pack):
    with pytest.raises(ConfigError, match="no run named"):
        train(pack, resume=True, quiet=True, threads=1)
    train(pack, steps=2, quiet=True, threads=1)
    text = (pack / "pack.yaml").read_text()
    (pack / "pack.yaml").write_text(text.replace("batch: 8", "batch: 4"))
    with pytest.raises(ConfigError, match=r"training\.batch = 8, and this is 4"):
        train(pack, resume=True, quiet=True, threads=1)


def test_a_refused_run_leaves_nothing_behind(pack, tmp_path):
    (pack / "pack.yaml").write_text((pack / "pack.yaml").read_text().replace("count: 40", "count: 5"))
    with pytest.raises(InputError, match="only 5 usable"):
        train(pack, quiet=True, threads=1)
    assert not store.runs_folder().joinpath("kick").exists()


def test_a_damaged_checkpoint_is_named(pack, tmp_path):
    train(pack, steps=2, quiet=True, threads=1)
    checkpoint = tmp_path / "home/runs/kick/checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(InputError, match="damaged"):
        train(pack, steps=4, resume=True, quiet=True, threads=1)


# --- divergence


def count_calls(monkeypatch, method):
    """A list that grows by one with every call of a sitting's method."""
    calls, truth = [], getattr(_Sitting, method)

    def counted(*arguments):
        calls.append(method)
        return truth(*arguments)

    monkeypatch.setattr(_Sitting, method, counted)
    return calls


def diverging(monkeypatch, *steps):
    """A weight is no number any more after each of these steps, the first time that it is made."""
    left, truth = list(steps), BodyPlayers.step

    def step(players, number, *, measure):
        terms = truth(players, number, measure=measure)
        if left and number + 1 == left[0]:
            left.pop(0)
            next(players.discriminator.parameters()).data[0] = float("nan")
        return terms

    monkeypatch.setattr(BodyPlayers, "step", step)


SLOW = {"generator_rate": 0.0005, "discriminator_rate": 0.0002}  # half of the defaults


def test_a_run_that_diverges_before_its_first_checkpoint_starts_anew_at_half_the_rates(
    tmp_path, monkeypatch, capsys
):
    pack = pack_of(tmp_path, checkpoint_seconds=1000.0)
    (tmp_path / "slow").mkdir()
    slow = pack_of(tmp_path / "slow", checkpoint_seconds=1000.0, **SLOW)
    diverging(monkeypatch, 7)
    train(pack, steps=9, threads=1)  # it is noticed where it was to be saved
    assert (
        "training diverged before step 9: a weight is no longer a number; back to step 0, both rates halved "
        "(return 1 of 3)\n" in capsys.readouterr().err
    )
    assert log_of("kick")[0] == {"step": 0, "seconds": None, "diverged_at": 9, "rates_halved": 1}
    # What is halved stays so when the run is resumed, and is told on the model's card.
    train(pack, steps=12, resume=True, quiet=True, threads=1)
    train(slow, name="slow", quiet=True, threads=1)
    assert_same_tensors(weights("kick"), weights("slow"))
    assert store.load_model("kick").card["rates_halved"] == 1
    assert "rates were halved once" in store.find_model("kick").with_suffix(".md").read_text()
    assert "rates_halved" not in store.load_model("slow").card
    assert "halved" not in store.find_model("slow").with_suffix(".md").read_text()


def test_a_run_that_diverges_goes_back_to_its_last_checkpoint(pack, monkeypatch):
    """It is saved after every step, and keeps what was best and what was logged until then."""
    monkeypatch.setattr("samplegan.train.LOG_EVERY_STEPS", 2)
    diverging(monkeypatch, 5, 9, 9)
    train(pack, quiet=True, threads=1)
    entries = [entry for entry in log_of("kick") if "images" in entry or "diverged_at" in entry]
    assert [(entry["step"], entry.get("diverged_at")) for entry in entries] == [
        (2, None),
        (4, None),
        (4, 5),
        (6, None),
        (8, None),
        (8, 9),
        (8, 9),
        (10, None),
        (12, None),
    ]
    assert [entry.get("rates_halved") for entry in entries if "diverged_at" in entry] == [1, 2, 3]
    card = store.find_model("kick").with_suffix(".md").read_text()
    assert "rates were halved 3 times" in card


def test_what_was_best_stays_so_when_a_run_goes_back(tmp_path, monkeypatch):
    """Its file holds the model of a step that the run has not reached again."""
    scored(monkeypatch, 3.0, 1.0, 2.0, 2.0, 2.0)  # steps 3, 6; then 3, 6 and 9 again
    diverging(monkeypatch, 8)
    pack = pack_of(tmp_path, validate_steps=3, checkpoint_seconds=1000.0)
    result = train(pack, steps=9, quiet=True, threads=1)
    assert result.best_step == 6
    card = store.load_model("kick").card
    assert card["metrics"]["held_out_mmd"] == 1.0 and "rates_halved" not in card


@pytest.mark.parametrize("which", ["training", "validation"])
def test_damaged_images_are_named_and_made_again(pack, which):
    train(pack, steps=4, quiet=True, threads=1)
    file = store.runs_folder() / "kick" / "data" / "images.npy"
    kits = [f"kick_0_{index}" for index in range(40)]
    sound = dict(zip(("training", "validation"), split_by_kit(kits, 0.2, 0), strict=True))[which][5]
    np.load(file, mmap_mode="r+")[sound, 0, 0, 3, 3] = np.nan
    with pytest.raises(InputError, match=f"kick_0_{sound}; there are 1") as caught:
        train(pack, steps=12, resume=True, quiet=True, threads=1)
    assert caught.value.file == file and "delete this file" in caught.value.hint
    file.unlink()
    train(pack, steps=12, resume=True, quiet=True, threads=1)
    train(pack, name="whole", quiet=True, threads=1)
    assert_same_tensors(weights("kick"), weights("whole"))


@pytest.mark.parametrize(
    ("architecture", "what", "validate_steps"),
    [
        ("body-gan", "batch", 1),  # at a validation
        ("body-gan", "loss", 250),
        ("stereo-dcgan", "batch", 250),
        ("stereo-dcgan", "loss", 1),
    ],
)
def test_a_diverging_run_keeps_its_last_good_checkpoint(
    tmp_path, monkeypatch, architecture, what, validate_steps
):
    pack = pack_of(tmp_path, architecture, validate_steps=validate_steps)
    train(pack, steps=4, quiet=True, threads=1)
    checkpoint, best = checkpoint_of("kick"), store.runs_folder() / "kick" / "best.safetensors"
    good, model = checkpoint.read_bytes(), weights("kick")
    kept = best.read_bytes() if best.exists() else None
    with monkeypatch.context() as broken:
        if what == "loss":
            module = "body_players" if architecture == "body-gan" else "dcgan_players"
            broken.setattr(
                f"samplegan.gan.{module}.generator_loss", lambda logits: logits.sum() * float("nan")
            )
        else:
            batch = Players._real_batch
            broken.setattr(Players, "_real_batch", lambda *arguments: batch(*arguments) * float("nan"))
        returns = count_calls(broken, "_go_back")
        with pytest.raises(SampleganError, match="diverged") as caught:
            train(pack, steps=6, resume=True, quiet=True, threads=1)
    assert len(returns) == 1 + MOST_RETURNS
    assert caught.value.exit_code == 1
    assert "the last good checkpoint is kept" in caught.value.hint
    assert checkpoint.read_bytes() == good
    assert weights("kick") == model
    assert (best.read_bytes() if best.exists() else None) == kept
    store.find_model("kick").unlink()
    assert train(pack, steps=1, resume=True, quiet=True, threads=1).steps == 4  # as the hint says
    assert_same_tensors(weights("kick"), model)
    assert train(pack, steps=6, resume=True, quiet=True, threads=1).steps == 6  # from there it goes on


@pytest.mark.parametrize(
    ("architecture", "image"), [("body-gan", "compact"), ("body-gan", "draft"), ("stereo-dcgan", "body")]
)
def test_an_image_that_an_architecture_does_not_draw_is_refused_before_a_sound_is_read(
    tmp_path, monkeypatch, architecture, image
):
    pack = pack_of(tmp_path, architecture)
    text = (pack / "pack.yaml").read_text()
    (pack / "pack.yaml").write_text(text.replace(f"name: {IMAGES[architecture]}", f"name: {image}"))
    monkeypatch.setattr("samplegan.train.prepare", None)
    with pytest.raises(ConfigError, match=f"'{architecture}'"):
        train(pack, quiet=True, threads=1)
    assert not (tmp_path / "home").exists()


@every_architecture
def test_an_architecture_brings_its_own_image(tmp_path, architecture):
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "pack.yaml").write_text(
        "category: hat_closed\nlength_seconds: 0.25\nsources: [{synth: hat_closed, count: 24}]\n"
        "training: {batch: 2, generator_width: 2, discriminator_width: 2, encoder_width: 2, code_dim: 4, "
        "principal_steps: 2}\n"
    )
    train(folder, architecture=architecture, steps=1, quiet=True, threads=1)
    assert store.load_model("hat_closed").representation.name == IMAGES[architecture]


def test_bad_arguments_are_refused_before_anything_is_written(pack, tmp_path):
    for arguments, words in (
        ({"name": "a/b"}, "model's name"),
        ({"minutes": 0.0}, "more than 0"),
        ({"steps": 0}, "at least 1"),
        ({"architecture": "stereo-gan"}, "not an architecture"),
        ({"category": "kik"}, "not a category"),
        ({"device": "tpu"}, "not a device"),
    ):
        with pytest.raises(ConfigError, match=words):
            train(pack, quiet=True, **arguments)
    with pytest.raises(ConfigError, match="no such folder"):
        train(tmp_path / "nowhere", quiet=True)
    assert not (tmp_path / "home").exists()


def test_an_absent_gpu_is_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MachineError, match="no CUDA device"):
        pick_device("cuda")
    assert pick_device("auto").type == "cpu"
