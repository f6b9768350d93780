"""An evaluator of one's own; a module of its own, since worker processes import it."""

from netwright.trial import Evaluation


class ByDigest:
    """Answers at once, by the architecture alone."""

    @staticmethod
    def worth(digest):
        return int(digest[:6], 16) / 16**6

    def evaluate(self, architecture, seed, report):
        return Evaluation(valid=self.worth(architecture.digest))
