"""Errors of training: what makes a step, or a run, mean nothing.

>>> from grammars.errors import IntegrationError
>>> issubclass(TrainingError, IntegrationError)
True
"""

from __future__ import annotations

from grammars.errors import IntegrationError


class TrainingError(IntegrationError):
    """Training cannot go on, or would not mean what it says."""

    code = "training"


class MixedLogs(TrainingError):
    """Masked log-probabilities were to be compared with raw ones."""

    code = "training.mixed"


class BrokenIdentity(TrainingError):
    """Two figures that are equal by their definition are not: rollouts and policy do not belong together."""

    code = "training.identity"


class NothingToLearn(TrainingError):
    """No rollout of a step, or of a run, can be learned from."""

    code = "training.nothing"


class BadConfiguration(TrainingError, ValueError):
    """A configuration that names what does not exist, or leaves out what is needed."""

    code = "training.configuration"


class BadCheckpoint(TrainingError):
    """A checkpoint that is damaged, or of another run."""

    code = "training.checkpoint"
