"""An evaluator of your own, for whatever your space describes: here, perceptrons trained by scikit-learn."""

from collections.abc import Callable

from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

import netwright
from netwright.spaces.architecture import Architecture
from netwright.spaces.choice import ChoiceSpace
from netwright.spaces.grammar import Choice
from netwright.trial import Evaluation

SPACE = ChoiceSpace(
    "perceptrons",
    (Choice("width", (4, 8, 16, 32)), Choice("depth", (1, 2, 3)), Choice("activation", ("relu", "tanh", "logistic"))),
)


class TrainPerceptron:
    """Anything with this method will do; it is sent to the worker processes, and what it raises is a failed trial."""

    def evaluate(self, architecture: Architecture, seed: int, report: Callable[[int, float], None]) -> Evaluation:
        """Trains for five epochs; ``valid`` is what the reward is made of, here an accuracy in [0, 1]."""
        choices = dict(architecture.model_dump()["choices"])
        sizes = [choices["width"]] * choices["depth"]
        network = MLPClassifier(sizes, choices["activation"], learning_rate_init=0.01, random_state=seed % 2**32)
        digits = load_digits()
        images, labels = digits.data / 16, digits.target
        for epoch in range(1, 6):
            network.partial_fit(images[:1000], labels[:1000], classes=range(10))
            accuracy = network.score(images[1000:1400], labels[1000:1400])
            report(epoch, accuracy)
        return Evaluation(valid=accuracy)


def main(out: str = "runs/own-evaluator", trials: int = 16) -> None:
    """Sixteen perceptrons for handwritten digits."""
    run = netwright.run_search("digits", out, space=SPACE, evaluator=TrainPerceptron(), trials=trials)
    print(run.summary())


if __name__ == "__main__":  # worker processes import this file
    main()
