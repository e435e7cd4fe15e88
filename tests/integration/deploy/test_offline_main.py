"""``python -m offline.main train`` learns what ``freshet train`` learns."""

from __future__ import annotations

from deploy.config import CommandSettings
from deploy.wiring import training
from deploy.wiring.dependencies import open_dependencies
from models.source_weights import Revisits, SourceWeights
from offline.engines.options import TrainingOptions
from offline.main import main


def test_weights_of_sources_come_from_a_replay_and_of_event_types_from_the_import(empty_shop, monkeypatch):
    replayed: list[TrainingOptions] = []

    def replay(archive, config, options, progress) -> SourceWeights:
        replayed.append(options)
        return SourceWeights.unlearned(Revisits.NONE)

    monkeypatch.setenv("FRESHET_DATA", str(empty_shop.folder))
    monkeypatch.setenv("FRESHET_HELD_OUT_USERS", "0")  # the gate: so few shoppers prove nothing
    monkeypatch.setattr(training, "learned_weights", replay)
    with open_dependencies(CommandSettings(data=empty_shop.folder)) as dependencies:
        training.note_weights(dependencies, "view=0.25")
        assert main(["train", "--engine", "single"]) == 0
        manifest = dependencies.models.manifest(dependencies.models.active())
    assert SourceWeights.kind in manifest.values
    assert [options.interactions(1.0).weights["view"] for options in replayed] == [0.25]
