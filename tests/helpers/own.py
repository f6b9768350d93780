"""An evaluator of one's own; a module of its own, since worker processes import it."""

import time

from netwright.trial import Evaluation


class ByDigest:
    """Answers at once, by the architecture alone."""

    @staticmethod
    def worth(digest):
        return int(digest[:6], 16) / 16**6

    def evaluate(self, architecture, seed, report):
        return Evaluation(valid=self.worth(architecture.digest))


class SlowlyByDigest(ByDigest):
    """As :class:`ByDigest`, after a while that depends on the seed, which is in the answer, too."""

    def evaluate(self, architecture, seed, report):
        time.sleep(0.02 + seed % 50 / 1000)
        return Evaluation(valid=self.worth(architecture.digest), metrics={"seed": seed % 2**31})


class Fails:
    """No child ever comes to anything."""

    def evaluate(self, architecture, seed, report):
        raise ValueError("never")


class Flat:
    """A number alone, the same for all."""

    def evaluate(self, architecture, seed, report):
        return 0.25


def percent(architecture, seed, report):
    """A function as an evaluator, which counts in hundredths."""
    report(0, 91.0)
    return 92


class Erring:
    """Measures an error, and calls it so."""

    def evaluate(self, architecture, seed, report):
        return Evaluation(valid=0.5, metrics={"error": 0.5, "size": 3})
