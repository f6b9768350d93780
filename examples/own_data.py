"""A search on images of your own: arrays, tensors, or any data set that can be indexed and gives (image, label)."""

from sklearn.datasets import load_digits

import netwright

SETTINGS = {"child.epochs": 1, "verdict": None}  # short: an epoch, and no networks drawn by hand to compare with


def main(out: str = "runs/own-data", trials: int = 8) -> None:
    """Is a digit even or odd?"""
    digits = load_digits()
    images, labels = digits.images / 16, digits.target % 2  # [N, 8, 8] in [0, 1]; classes counted from 0
    data = netwright.from_tensors(images, labels, validation=0.3, classes=["even", "odd"])
    run = netwright.run_search("digits", out, data=data, trials=trials, settings=SETTINGS)
    print(run.summary())
    network = run.best.build()  # the best one, as an ordinary torch.nn.Module
    print(sum(weights.numel() for weights in network.parameters()), "weights")


if __name__ == "__main__":  # worker processes import this file
    main()
