"""Experiment configs: TOML in, everything checked, nothing mutable.

Every default is the one a reader sees in sections.py. Cross-field rules are checked
together and reported together.
"""

import hashlib
import json
from typing import Annotated, Any, Self

import tomli_w
from pydantic import BaseModel, Field, model_validator

from .mining import MiningConfig
from .own_law import LawConfig
from .protocol import ProtocolConfig
from .section import Section, Whole
from .sections import (
    ClockConfig,
    ComparisonConfig,
    DataConfig,
    MenuConfig,
    SchemeConfig,
    SecurityConfig,
    TrainingConfig,
)
from .sweep import SweepConfig
from .world import AdversaryConfig, NetworkConfig


class Config(Section):
    """One experiment."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] = Field(
        description="first part of the run folder's name"
    )
    description: str = Field(default="", description="one sentence for `dpodl configs`")
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = Field(
        default=2023, description="fixes every draw: runs, races, resamples"
    )
    data: DataConfig = DataConfig()
    menu: MenuConfig = MenuConfig()
    training: TrainingConfig = TrainingConfig()
    law: LawConfig = LawConfig()
    scheme: SchemeConfig = SchemeConfig()
    protocol: ProtocolConfig = ProtocolConfig()
    network: NetworkConfig = NetworkConfig()
    adversary: AdversaryConfig = AdversaryConfig()
    clock: ClockConfig = ClockConfig()
    security: SecurityConfig = SecurityConfig()
    mining: MiningConfig = MiningConfig()
    sweep: SweepConfig = SweepConfig()
    comparisons: tuple[ComparisonConfig, ...] = Field(
        default=(),
        description="settings whose block-time laws are shown beside the scheme's",
    )

    @model_validator(mode="after")
    def _together(self) -> Self:
        problems = []
        abandon, training = self.protocol.abandon_steps, self.training
        if isinstance(abandon, int) and not (
            training.check_every <= abandon <= training.horizon_steps
            and abandon % training.check_every == 0
        ):
            problems.append(
                "protocol.abandon_steps must be a multiple of training.check_every = "
                f"{training.check_every} up to training.horizon_steps = "
                f"{training.horizon_steps}, got {abandon}: set both, for what a model "
                "does behind the last look it was trained to is not known"
            )
        for field, part, words in (("depths", 2, "half"), ("confirmations", 4, "¼")):
            value, limit = getattr(self.security, field), self.security.levels // part
            if value > limit:
                problems.append(
                    f"security.{field} must be at most {words} of security.levels, "
                    f"{limit}, got {value}"
                )
        if self.clock.unit == "seconds":
            missing = [
                bucket
                for bucket in self.bucket_names()
                if bucket not in self.clock.step_seconds
            ]
            if missing:
                problems.append(
                    "clock.step_seconds needs an entry for every architecture and "
                    f"batch size when clock.unit is 'seconds'; missing: "
                    f"{', '.join(missing)} "
                    "(dpodl calibrate-clock measures them)"
                )
        problems += self._mining_problems()
        labels = [c.label for c in self.comparisons]
        if len(set(labels)) != len(labels):
            problems.append(f"comparisons.label must differ, got {labels}")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _mining_problems(self) -> list[str]:
        look, every = self.training.check_every, self.protocol.checkpoint_every
        problems = []
        if isinstance(every, int) and every % look:
            problems.append(
                "protocol.checkpoint_every must be a multiple of training.check_every "
                f"= {look}, got {every}"
            )
        names = [task.name for task in self.mining.tasks]
        if len(set(names)) != len(names):
            problems.append(f"mining.tasks.name must differ, got {names}")
        return problems

    @property
    def attackers(self) -> int:
        """Corrupted provers that do not follow the protocol."""
        honest = self.adversary.attack == "honest"
        return 0 if honest else self.network.corrupted

    def bucket_names(self) -> list[str]:
        """Every 'architecture/batch size' of the menu."""
        return [
            f"{architecture}/{batch}"
            for architecture in self.menu.architectures
            for batch in self.menu.batch_sizes
        ]

    def to_toml(self) -> str:
        """The whole config, defaults included, as TOML that reads back equal."""
        return tomli_w.dumps(_plain(self))

    def digest(self) -> str:
        """SHA-256 of what an experiment depends on: not how a chain is mined."""
        return self._digest_without("mining", "sweep")

    def chain_digest(self) -> str:
        """SHA-256 of the whole config, which a mined chain depends on."""
        return fingerprint(self._settings())

    def point_digest(self) -> str:
        """SHA-256 of what a sweep's point depends on: not its names."""
        return self._digest_without(
            "name", "description", "mining", "sweep", "comparisons"
        )

    def _digest_without(self, *names: str) -> str:
        settings = {k: v for k, v in self._settings().items() if k not in names}
        # What is kept on the disk beside the results changes none of them.
        settings["training"].pop("keep_states")
        return fingerprint(settings)

    def _settings(self) -> dict[str, Any]:
        settings = _plain(self)
        # What came before there was such a setting keeps its name.
        if self.law == LawConfig():
            del settings["law"]
        for name in ("reward_rule", "reward_decay"):
            if getattr(self.protocol, name) == _default(self.protocol, name):
                del settings["protocol"][name]
        return settings


def fingerprint(value: Any) -> str:
    """SHA-256 of a JSON value with sorted keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _default(section: BaseModel, name: str) -> Any:
    return type(section).model_fields[name].default


def plain(section: BaseModel) -> dict[str, Any]:
    """A section as JSON values, without what is not set."""
    return _plain(section)


def _plain(section: BaseModel) -> dict[str, Any]:
    return section.model_dump(mode="json", exclude_none=True)
